"""A scene leaves images that are no images, or that are far too much: nobody but their own job pays for it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import psutil
import pytest

from renderctl.core.errors import BadImage, ImageRefused
from renderctl.core.jobs import Fault
from renderctl.core.settings import DecoderSettings
from renderctl.core.states import AttemptState
from renderctl.decoder import Decoder
from renderctl.executors.sandbox import landlock_version
from renderctl.farm.worker.failures import failure_from
from tests.fake_blender import FakeBlender, FakeExecutor, png, rendered
from tests.farms import close, given_job, make_farm, wait_for, work_until
from tests.lacking import lacking

pytestmark = pytest.mark.slow


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(DecoderSettings())
    yield decoder
    decoder.close()


def bomb(path: Path, side: int) -> Path:
    """An EXR of one colour: few bytes that come to gigabytes of pixels."""
    spec = oiio.ImageSpec(side, side, 4, oiio.HALF)
    spec["compression"] = "zip"
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    rows = np.zeros((16, side, 4), dtype=np.float16)
    for y in range(0, side, 16):
        assert output.write_scanlines(y, min(side, y + 16), 0, rows)
    output.close()
    return path


def processes_of(decoder: Decoder) -> list[psutil.Process]:
    """The processes that decode."""
    assert decoder._server is not None
    return psutil.Process(decoder._server._process.pid).children()


def test_an_image_of_another_size_is_refused_before_any_pixel_is_decoded(decoder: Decoder, tmp_path: Path) -> None:
    image = bomb(tmp_path / "0001.exr", 16_000)
    impatient = Decoder(DecoderSettings(timeout=600.0))
    with pytest.raises(ImageRefused, match="has 16000x16000 pixels in place of 8x8"):
        impatient.verify(image, within=tmp_path, width=8, height=8)
    (process,) = processes_of(impatient)
    assert sum(process.cpu_times()[:2]) < 2.0  # to decode it takes ten seconds
    impatient.close()


def test_more_pixels_than_the_farm_decodes_are_refused_by_their_header(tmp_path: Path) -> None:
    image = bomb(tmp_path / "0001.exr", 4000)
    (tmp_path / "out").mkdir()
    decoder = Decoder(DecoderSettings(image_mb=100))
    for use in (
        lambda: decoder.verify(image, within=tmp_path),
        lambda: decoder.write_thumbnail(image, tmp_path / "out" / "small.webp", 160),
    ):
        with pytest.raises(ImageRefused, match="4000x4000 pixels of 4 channels: too much to decode"):
            use()
    decoder.close()


def test_memory_does_not_grow_with_the_image(decoder: Decoder, tmp_path: Path) -> None:
    image = bomb(tmp_path / "0001.exr", 6000)  # 288 MB of pixels
    assert decoder.verify(image, within=tmp_path).width == 6000
    (process,) = processes_of(decoder)
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) < 200_000


def test_an_image_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    image = bomb(tmp_path / "0001.exr", 12_000)
    decoder = Decoder(DecoderSettings(timeout=0.3))
    decoder.verify(write_png(tmp_path / "0002.png"), within=tmp_path)  # it runs
    with pytest.raises(ImageRefused, match="takes too long"):
        decoder.verify(image, within=tmp_path)
    deadline = [process for process in processes_of(decoder) if process.status() != psutil.STATUS_ZOMBIE]
    assert not psutil.wait_procs(deadline, timeout=10)[1]
    decoder.close()


def test_an_image_that_ends_its_decoder_is_tried_twice_and_ends_nothing_else(decoder: Decoder, tmp_path: Path) -> None:
    image, whole = bomb(tmp_path / "0001.exr", 12_000), write_png(tmp_path / "0002.png")
    decoder.verify(whole, within=tmp_path)
    killed: set[int] = set()
    done = threading.Event()

    def kill() -> None:
        """As a fault in a C++ library does; each process once."""
        while not done.wait(0.05):
            for process in processes_of(decoder):
                if process.pid not in killed and process.status() != psutil.STATUS_ZOMBIE:
                    killed.add(process.pid)
                    os.kill(process.pid, signal.SIGSEGV)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(ImageRefused, match="crashes the decoder"):
            decoder.verify(image, within=tmp_path)
    finally:
        done.set()
        killer.join()
    assert len(killed) == 2
    assert decoder.verify(whole, within=tmp_path).format == "png"


def write_png(path: Path, side: int = 4) -> Path:
    path.write_bytes(png(side))
    return path


def test_what_decodes_sees_its_own_folder_alone(decoder: Decoder, tmp_path: Path) -> None:
    if not landlock_version():
        lacking("needs a kernel with Landlock: Linux 5.13 or newer")
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    others.mkdir()
    write_png(others / "0001.png")
    (own / "link.png").symlink_to(others / "0001.png")
    assert decoder.verify(write_png(own / "0001.png"), within=own).width == 4
    for path in (others / "0001.png", own / "link.png"):
        with pytest.raises(BadImage, match="not a complete image"):
            decoder.verify(path, within=own)
    with pytest.raises(BadImage, match="cannot be shown"):
        decoder._ask(  # where it may write nothing
            {"path": str(own / "0001.png"), "target": str(own / "0002.webp"), "side": 160},
            next(confines for confines, _ in decoder._idle),
            reuse=False,
        )
    assert not (own / "0002.webp").exists()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b"[" * 5000,
        b'{"facts": 7}',
        b'{"facts": {"width": 4, "height": 4, "channels": 3, "parts": true, "format": "png"}}',
        b'{"facts": {"width": -4, "height": 4, "channels": 3, "parts": 1, "format": "png"}}',
        b'{"facts": {"width": 1e400, "height": 4, "channels": 3, "parts": 1, "format": "png"}}',
    ],
)
def test_an_answer_that_makes_no_sense_is_a_refused_image(decoder: Decoder, tmp_path: Path, answer: bytes) -> None:
    from renderctl.decoder import _Sandbox
    from renderctl.decoder.processes import DecodingProcess

    image = write_png(tmp_path / "0001.png")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(answer)
    taken_over = subprocess.Popen(["sleep", "60"])
    process = DecodingProcess(ours, os.pidfd_open(taken_over.pid), taken_over.pid)
    decoder._idle.append((_Sandbox(tmp_path), process))
    if b'"facts"' in answer or answer == b"{}":
        with pytest.raises(ImageRefused, match="is not valid"):
            decoder.verify(image, within=tmp_path)
    else:
        assert decoder.verify(image, within=tmp_path).width == 4  # by a fresh process
    process.kill()
    assert taken_over.wait(10) == -signal.SIGKILL
    theirs.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_decodes_ends_with_whom_it_decodes_for(tmp_path: Path, how: signal.Signals) -> None:
    write_png(tmp_path / "0001.png")
    program = (
        "import sys, time; from pathlib import Path; from renderctl.decoder import Decoder;"
        "from renderctl.core.settings import DecoderSettings; decoder = Decoder(DecoderSettings());"
        "folder = Path(sys.argv[1]); decoder.verify(folder / '0001.png', within=folder);"
        "print(flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"\n"
    family = psutil.Process(owner.pid).children(recursive=True)
    assert len(family) == 2
    owner.send_signal(how)
    owner.wait()
    owner.stdout.close()
    assert not psutil.wait_procs(family, timeout=10)[1]


def test_what_makes_the_processes_is_started_again_when_it_was_killed(decoder: Decoder, tmp_path: Path) -> None:
    image = write_png(tmp_path / "0001.png")
    decoder.verify(image, within=tmp_path)
    (child,) = processes_of(decoder)
    assert decoder._server is not None
    os.kill(decoder._server._process.pid, signal.SIGKILL)
    assert not psutil.wait_procs([child], timeout=10)[1]
    assert decoder.verify(image, within=tmp_path).width == 4


def test_a_frame_that_is_not_what_was_asked_for_is_the_scenes_fault(tmp_path: Path) -> None:
    def larger(blender: FakeBlender, order: Mapping[str, Any]) -> None:
        rendered(blender, order, png(side=64))

    farm = make_farm(tmp_path / "data", executor=FakeExecutor(behaviours={1: larger}))
    job = given_job(farm, "1")
    work_until(farm, job)
    (attempt, *_) = farm.repository.attempts.of_job(job.id)
    assert attempt.state is AttemptState.FAILED
    assert "has 64x64 pixels in place of 4x4" in str(attempt.error)
    assert failure_from(ImageRefused()).fault is Fault.SCENE  # else the worker would come to be suspected
    close(farm)


def test_another_jobs_frames_are_decoded_by_other_processes(tmp_path: Path) -> None:
    decoder = Decoder(DecoderSettings())
    farm = make_farm(tmp_path / "data", decoder=decoder)
    seen = []
    for name in ("one", "other"):
        work_until(farm, given_job(farm, "1-3", name=name))
        wait_for(farm, lambda: not decoder._idle)
        seen.append(decoder)
    assert not [item for item in processes_of(decoder) if item.status() != psutil.STATUS_ZOMBIE]
    close(farm)
    decoder.close()
