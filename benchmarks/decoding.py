"""What it costs to decode images in a process of its own: per frame, per job, and once per worker or render."""

import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from benchmarks.timing import empty_folder
from renderctl.core.settings import DecoderSettings
from renderctl.decoder import Decoder
from renderctl.decoder.pixels import set_limits, verify

_SIZES = {"64x64": (64, 64, 400), "1920x1080": (1920, 1080, 30)}
_AIM_FRAME_MS, _AIM_RENDER_MS = 2.0, 30.0


def main() -> None:
    settings = DecoderSettings()
    set_limits(settings.image_mb)
    with empty_folder() as folder:
        decoder = Decoder(settings)
        began = _cpu_s()
        prepared_ms = _ms(decoder.prepare)
        images = {name: _image(folder / f"{name}.png", width, height) for name, (width, height, _) in _SIZES.items()}
        small = images["64x64"]
        decoder.verify(small, within=folder)
        print("one frame, decoded here and in a process of its own, in turn; medians of wall time")
        for name, (_, _, runs) in _SIZES.items():
            _frame(decoder, images[name], runs)
        print("one job: its first frame has a process made, beside the frames that Blender goes on with")
        first = []
        for _ in range(20):
            decoder.release(folder)
            first.append(_ms(lambda: decoder.verify(small, within=folder)))
        print(f"  first frame: {statistics.median(first):.2f} ms")
        decoder.close()
        print("one render: what decodes starts while Blender does")
        print(
            f"  waited for: {prepared_ms:.2f} ms (aim {_AIM_RENDER_MS:g}); processor in all: {_cpu_s() - began:.2f} s"
        )


def _frame(decoder: Decoder, image: Path, runs: int) -> None:
    here, there, here_s, there_s = [], [], 0.0, 0.0
    decoder.verify(image, within=image.parent)
    for _ in range(runs):
        began = _used_s(decoder)
        here.append(_ms(lambda: verify(image)))
        between = _used_s(decoder)
        there.append(_ms(lambda: decoder.verify(image, within=image.parent)))
        here_s, there_s = here_s + between - began, there_s + _used_s(decoder) - between
    own, others = statistics.median(here), statistics.median(there)
    quick = min(there) - min(here)
    print(
        f"  {image.stem:10} here {own:.2f} ms, there {others:.2f} ms: {others - own:+.2f} ms (aim {_AIM_FRAME_MS:g}); "
        f"the quickest of {runs}: {quick:+.2f} ms"
    )
    print(f"  {'':10} processor: here {here_s / runs * 1e3:.2f} ms, there {there_s / runs * 1e3:.2f} ms a frame")


def _used_s(decoder: Decoder) -> float:
    """Processor seconds of this process and of those that decode, however busy the machine is."""
    pids = [process.pid for _, process in decoder._idle]
    others_ns = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)
    return time.process_time() + others_ns / 1e9


def _image(path: Path, width: int, height: int) -> Path:
    """A PNG that compresses as a rendered one does: smooth, with some noise."""
    noise = np.random.default_rng(7).integers(0, 8, (height, width, 4), dtype=np.uint8)
    slope = np.linspace(0, 240, width, dtype=np.uint8)[None, :, None]
    output = oiio.ImageOutput.create(str(path))
    output.open(str(path), oiio.ImageSpec(width, height, 4, oiio.UINT8))
    output.write_image(noise + slope)
    output.close()
    return path


def _ms(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1e3


def _cpu_s() -> float:
    """Processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
