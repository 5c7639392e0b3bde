"""Whether an image file is whole, its last pixel included; and small copies to look at. Only here is OpenImageIO known.

Blender reports success on a full disk and leaves truncated files behind, so every frame is decoded once. What decodes
is C++ that reads a stranger's bytes: it runs in a process that can do nothing else (`fork_server.py`). The header is
looked at before any pixel is, and pixels come block by block: memory does not grow with the image.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from renderctl.core.errors import BadImage, ImageRefused
from renderctl.decoder.images import ImageFacts

#: File extension -> the one reader that may look at such a file.
READERS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".exr": "openexr", ".tif": "tiff", ".tiff": "tiff"}
READERS[".webp"] = "webp"
DEFAULT_MB = 32768
#: Bytes of pixels that are decoded at a time.
_BLOCK = 32 << 20
_OF_PARTS = ("openexr",)
_MOST_PARTS, _MOST_CHANNELS = 256, 4096
#: Brightness from which a copy to look at is compressed, so that lights brighter than white keep some form.
_SHOULDER = 0.8
Spec = Any


def set_limits(image_mb: int = DEFAULT_MB) -> None:
    """Have readers that decode as soon as they open refuse larger images, too; one thread, one reader a file."""
    oiio.attribute("threads", 1)
    oiio.attribute("exr_threads", -1)  # none but the caller's
    oiio.attribute("try_all_readers", 0)
    oiio.attribute("limits:imagesize_MB", 2 * image_mb)  # one that we refuse ourselves, saying why
    oiio.attribute("limits:channels", _MOST_CHANNELS)


def warm_up(folder: Path) -> None:
    """Have all loaded that is loaded on first use, by images of our own; starts no thread, which a fork would lose."""
    set_limits(1)
    for name, kind in (("own.png", oiio.UINT8), ("own.exr", oiio.HALF)):
        image = oiio.ImageBuf(oiio.ImageSpec(16, 16, 4, kind))
        image.write(str(folder / name))
        verify(folder / name, image_mb=1)
        write_thumbnail(folder / name, folder / "small.webp", 8, image_mb=1)


def verify(
    path: Path, *, width: int | None = None, height: int | None = None, image_mb: int = DEFAULT_MB
) -> ImageFacts:
    """Decode every pixel of the image at `path`. Raises BadImage, saying what is wrong with it.

    `width` and `height` in pixels are what it must have, where they are given; `image_mb` megabytes are the most that
    it may come to. What the header says is held against that first: ImageRefused.
    """
    image = _open(path)
    try:
        specs = _read_headers(image, path.name, image_mb)
        first = specs[0]
        facts = ImageFacts(
            width=first.full_width or first.width,
            height=first.full_height or first.height,
            channels=sum(spec.nchannels for spec in specs),
            parts=len(specs),
            format=image.format_name(),
        )
        if (width is not None and facts.width != width) or (height is not None and facts.height != height):
            raise ImageRefused(f"{path.name} has {facts.width}x{facts.height} pixels in place of {width}x{height}.")
        for part, spec in enumerate(specs):
            for _ in _blocks(image, path.name, part, spec):
                pass
    finally:
        image.close()
    return facts


def write_thumbnail(path: Path, target: Path, side: int, *, image_mb: int = DEFAULT_MB) -> None:
    """A copy of the image at `path`, its longer side `side` pixels at most, as `target`'s extension says; in sRGB.

    What has no upper limit (EXR) is toned down to what a screen shows. Raises BadImage.
    """
    image = _open(path)
    try:
        spec = _read_headers(image, path.name, image_mb)[0]
        reduced = _downsample(image, path.name, spec, side)
    finally:
        image.close()
    is_open = spec.format.basetype in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE)
    scale = min(1.0, side / max(spec.full_width, spec.full_height, 1))
    size = [max(1, round(length * scale)) for length in (spec.full_width, spec.full_height)]
    channels = reduced.spec().nchannels
    small = oiio.ImageBufAlgo.resize(reduced, roi=oiio.ROI(0, size[0], 0, size[1], 0, 1, 0, channels))
    shown = _tone_mapped(small) if is_open else small
    if shown.has_error or not shown.write(str(target), oiio.UINT8):
        raise BadImage(f"{path.name} can not be shown: {_first_line(shown.geterror() or small.geterror())}")


def _open(path: Path) -> Any:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ImageRefused(f"{path.name} is of a kind that is not decoded here.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadImage(f"{path.name} is not there.") from error
    if size == 0:
        raise BadImage(f"{path.name} is empty.")
    image = oiio.ImageInput.open(str(path))
    if image is None or image.format_name() != reader:
        raise BadImage(f"{path.name} is not a whole image: {_first_line(oiio.geterror())}")
    return image


def _read_headers(image: Any, name: str, image_mb: int = DEFAULT_MB) -> list[Spec]:
    """What each part says that it holds. Raises BadImage, ImageRefused."""
    specs: list[Spec] = []
    while image.seek_subimage(len(specs), 0):
        specs.append(image.spec())
        if image.format_name() not in _OF_PARTS:  # others forget where they were when there is no second one
            break
        if len(specs) > _MOST_PARTS:
            raise ImageRefused(f"{name} has more than {_MOST_PARTS} parts.")
    if not specs:
        raise BadImage(f"{name} holds no image.")
    if any(spec.deep or spec.depth > 1 for spec in specs):
        raise ImageRefused(f"{name} is no flat image.")
    if sum(spec.nchannels for spec in specs) > _MOST_CHANNELS:
        raise ImageRefused(f"{name} has more than {_MOST_CHANNELS} channels.")
    largest = max(specs, key=_row_bytes)
    if sum(_row_bytes(spec) * spec.height for spec in specs) > image_mb << 20 or _row_bytes(largest) > _BLOCK:
        raise ImageRefused(
            f"{name} has {largest.width}x{largest.height} pixels of {largest.nchannels} channels: too much to decode.",
            hint=f"decoder.image_mb is {image_mb}.",
        )
    return specs


def _row_bytes(spec: Spec) -> int:
    widest = max([spec.format.size(), *(channel.size() for channel in spec.channelformats)])
    return int(spec.width * spec.nchannels * widest)


def _blocks(image: Any, name: str, part: int, spec: Spec, channels: range | None = None) -> Iterator[tuple[int, Any]]:
    """All pixels of a part, some rows at a time: where they begin, and an array of rows x columns x channels.

    Of given channels as floats, else of all in the file's own format. Raises BadImage.
    """
    first, last = (channels.start, channels.stop) if channels else (0, spec.nchannels)
    kind = oiio.TypeFloat if channels else spec.format
    row_bytes = max(_row_bytes(spec), 4 * spec.width * (last - first))
    rows = _aligned_rows(_BLOCK // row_bytes, spec.tile_height)
    bottom, right = spec.y + spec.height, spec.x + spec.width
    for y in range(spec.y, bottom, rows):
        end = min(y + rows, bottom)
        if spec.tile_width:
            pixels = image.read_tiles(part, 0, spec.x, right, y, end, 0, 1, first, last, kind)
        else:
            pixels = image.read_scanlines(part, 0, y, end, 0, first, last, kind)
        if pixels is None or image.has_error:
            raise BadImage(f"{name} is damaged or cut off: {_first_line(image.geterror())}")
        yield y, pixels.reshape(end - y, spec.width, last - first)


def _aligned_rows(rows: int, tile_height: int) -> int:
    """So many rows, or somewhat fewer, that nothing is decompressed twice: whole tiles, or what EXR packs together."""
    if tile_height:
        return max(tile_height, rows - rows % tile_height)
    packed = next((count for count in (256, 64, 32, 16) if rows >= count), 1)
    return max(1, rows - rows % packed)


def _downsample(image: Any, name: str, spec: Spec, side: int) -> Any:
    """What there is to see, in float, averaged over squares: at most twice as long as `side` where it was longer."""
    chosen = _visible_channels(spec, name)
    span = range(min(chosen), max(chosen) + 1)
    picks = [index - span.start for index in chosen]
    width, height = spec.full_width, spec.full_height
    square = max(1, math.ceil(max(width, height) / (2 * side)))
    columns, lines = math.ceil(width / square), math.ceil(height / square)
    total = np.zeros((lines, columns, len(picks)), np.float32)
    left, right = max(spec.x, spec.full_x), min(spec.x + spec.width, spec.full_x + width)
    for y, pixels in _blocks(image, name, 0, spec, span):
        top, bottom = max(y, spec.full_y), min(y + len(pixels), spec.full_y + height)
        if top >= bottom or left >= right:
            continue  # outside of what is shown
        part = pixels[top - y : bottom - y, left - spec.x : right - spec.x][:, :, picks]
        padded = np.zeros((len(part), columns * square, len(picks)), np.float32)
        padded[:, left - spec.full_x : right - spec.full_x] = np.nan_to_num(part, nan=0.0)
        summed = padded.reshape(len(part), columns, square, len(picks)).sum(axis=2)
        places = (np.arange(top, bottom) - spec.full_y) // square
        begins = np.flatnonzero(np.diff(places, prepend=-1))
        total[places[begins]] += np.add.reduceat(summed, begins, axis=0)
    total /= (_lengths(lines, height, square)[:, None] * _lengths(columns, width, square)[None, :])[:, :, None]
    described = oiio.ImageSpec(columns, lines, len(picks), oiio.FLOAT)
    described.channelnames = ("R", "G", "B", "A")[: len(picks)]
    if len(picks) == 4:
        described.alpha_channel = 3
    reduced = oiio.ImageBuf(described)
    reduced.set_pixels(oiio.ROI(0, columns, 0, lines, 0, 1, 0, len(picks)), total)
    return reduced


def _lengths(cells: int, length: int, square: int) -> Any:
    """How many pixels each of the cells is long: the last one may be cut off."""
    return np.minimum(square, length - np.arange(cells) * square)


def _visible_channels(spec: Spec, name: str) -> list[int]:
    """Its colours and its alpha, by their places: of a file of layers the combined one's, else the first one's."""
    names = list(spec.channelnames)
    if not names or spec.full_width < 1 or spec.full_height < 1:
        raise BadImage(f"{name} can not be shown: it has no pixels.")
    layer = next((channel[:-1] for channel in names if channel.endswith("Combined.R")), None)
    if layer is None:
        layer = next((channel[:-1] for channel in names if channel == "R" or channel.endswith(".R")), None)
    coloured = [names.index(f"{layer}{colour}") for colour in "RGBA" if f"{layer}{colour}" in names]
    return coloured or [0, 0, 0]


def _tone_mapped(image: Any) -> Any:
    """Linear light as sRGB: as it is up to the shoulder, from there ever less (x / (1 + x/rest)) towards white."""
    algo, rest, channels = oiio.ImageBufAlgo, 1.0 - _SHOULDER, image.spec().nchannels
    over = algo.max(algo.sub(image, _SHOULDER), 0.0)
    kept = algo.max(algo.min(image, _SHOULDER), 0.0)
    bent = algo.div(over, algo.add(algo.mul(over, 1.0 / rest), 1.0))
    toned = algo.colorconvert(algo.add(kept, bent), "linear", "sRGB")
    if channels < 4:
        return toned
    alpha = algo.channels(image, ("A",))
    return algo.channel_append(algo.channels(toned, ("R", "G", "B")), alpha)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".")[:500] + "." if lines else "it can not be decoded."
