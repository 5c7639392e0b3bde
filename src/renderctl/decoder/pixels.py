"""Verifying image files to the last pixel, and thumbnails. Only this module uses OpenImageIO.

Blender reports success on a full disk and leaves truncated files, so every frame is decoded once. The decoder is C++
code that reads untrusted bytes, so it runs in a sandboxed process (`fork_server.py`). The header is checked before any
pixel is read, and pixels are read block by block: memory does not grow with the image.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from renderctl.core.errors import BadImage, ImageRefused
from renderctl.decoder.images import ImageFacts

#: File extension -> the only OpenImageIO reader for such a file.
READERS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".exr": "openexr", ".tif": "tiff", ".tiff": "tiff"}
READERS[".webp"] = "webp"
DEFAULT_MB = 32768
#: Bytes of pixels that are decoded at a time.
_BLOCK_BYTES = 32 << 20
_MULTI_PART_FORMATS = ("openexr",)
_MAX_PARTS, _MAX_CHANNELS = 256, 4096
#: Brightness above which a thumbnail is compressed, so that highlights keep some detail.
_SHOULDER = 0.8
Spec = Any


def set_limits(image_mb: int = DEFAULT_MB) -> None:
    """Set OpenImageIO's global limits: image size, one thread, no fallback to other readers."""
    oiio.attribute("threads", 1)
    oiio.attribute("exr_threads", -1)  # only the caller's thread
    oiio.attribute("try_all_readers", 0)
    oiio.attribute("limits:imagesize_MB", 2 * image_mb)  # above the limit that is checked here, with a better error
    oiio.attribute("limits:channels", _MAX_CHANNELS)


def warm_up(folder: Path) -> None:
    """Load everything that is loaded on first use, with small test images. Starts no threads: forks would lose them."""
    set_limits(1)
    for name, kind in (("own.png", oiio.UINT8), ("own.exr", oiio.HALF)):
        image = oiio.ImageBuf(oiio.ImageSpec(16, 16, 4, kind))
        image.write(str(folder / name))
        verify(folder / name, image_mb=1)
        write_thumbnail(folder / name, folder / "small.webp", 8, image_mb=1)


def verify(
    path: Path, *, width: int | None = None, height: int | None = None, image_mb: int = DEFAULT_MB
) -> ImageFacts:
    """Decode every pixel of the image at `path`. Raises BadImage with what is wrong with it.

    `width` and `height` are the required size in pixels, if given; `image_mb` is the limit of its pixels in megabytes.
    The header is checked first: raises ImageRefused.
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
    """Write a thumbnail with at most `side` pixels per side, in sRGB and the format of `target`'s extension.

    High dynamic range (EXR) is tone mapped. Raises BadImage, ImageRefused.
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
        raise BadImage(f"{path.name} cannot be shown: {_first_line(shown.geterror() or small.geterror())}")


def _open(path: Path) -> Any:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ImageRefused(f"{path.name} has a format that is not supported.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadImage(f"{path.name} does not exist.") from error
    if size == 0:
        raise BadImage(f"{path.name} is empty.")
    image = oiio.ImageInput.open(str(path))
    if image is None or image.format_name() != reader:
        raise BadImage(f"{path.name} is not a complete image: {_first_line(oiio.geterror())}")
    return image


def _read_headers(image: Any, name: str, image_mb: int = DEFAULT_MB) -> list[Spec]:
    """Read and check the headers of all parts. Raises BadImage, ImageRefused."""
    specs: list[Spec] = []
    while image.seek_subimage(len(specs), 0):
        specs.append(image.spec())
        if (
            image.format_name() not in _MULTI_PART_FORMATS
        ):  # other readers lose their position if there is no second part
            break
        if len(specs) > _MAX_PARTS:
            raise ImageRefused(f"{name} has more than {_MAX_PARTS} parts.")
    if not specs:
        raise BadImage(f"{name} holds no image.")
    if any(spec.deep or spec.depth > 1 for spec in specs):
        raise ImageRefused(f"{name} is not a flat image.")
    if sum(spec.nchannels for spec in specs) > _MAX_CHANNELS:
        raise ImageRefused(f"{name} has more than {_MAX_CHANNELS} channels.")
    largest = max(specs, key=_row_bytes)
    if sum(_row_bytes(spec) * spec.height for spec in specs) > image_mb << 20 or _row_bytes(largest) > _BLOCK_BYTES:
        raise ImageRefused(
            f"{name} has {largest.width}x{largest.height} pixels of {largest.nchannels} channels: too much to decode.",
            hint=f"decoder.image_mb is {image_mb}.",
        )
    return specs


def _row_bytes(spec: Spec) -> int:
    widest = max([spec.format.size(), *(channel.size() for channel in spec.channelformats)])
    return int(spec.width * spec.nchannels * widest)


def _blocks(image: Any, name: str, part: int, spec: Spec, channels: range | None = None) -> Iterator[tuple[int, Any]]:
    """Yield all pixels of a part in blocks of rows: the first row, and an array of rows x columns x channels.

    The given channels as floats, or all in the file's own type. Raises BadImage.
    """
    first, last = (channels.start, channels.stop) if channels else (0, spec.nchannels)
    kind = oiio.TypeFloat if channels else spec.format
    row_bytes = max(_row_bytes(spec), 4 * spec.width * (last - first))
    rows = _aligned_rows(_BLOCK_BYTES // row_bytes, spec.tile_height)
    bottom, right = spec.y + spec.height, spec.x + spec.width
    for y in range(spec.y, bottom, rows):
        end = min(y + rows, bottom)
        if spec.tile_width:
            pixels = image.read_tiles(part, 0, spec.x, right, y, end, 0, 1, first, last, kind)
        else:
            pixels = image.read_scanlines(part, 0, y, end, 0, first, last, kind)
        if pixels is None or image.has_error:
            raise BadImage(f"{name} is damaged or truncated: {_first_line(image.geterror())}")
        yield y, pixels.reshape(end - y, spec.width, last - first)


def _aligned_rows(rows: int, tile_height: int) -> int:
    """Round a number of rows down to whole tiles or EXR's line blocks, so that nothing is decompressed twice."""
    if tile_height:
        return max(tile_height, rows - rows % tile_height)
    packed = next((count for count in (256, 64, 32, 16) if rows >= count), 1)
    return max(1, rows - rows % packed)


def _downsample(image: Any, name: str, spec: Spec, side: int) -> Any:
    """Downsample the visible channels by averaging squares, to at most twice `side` pixels per side."""
    indices = _visible_channels(spec, name)
    span = range(min(indices), max(indices) + 1)
    offsets = [index - span.start for index in indices]
    width, height = spec.full_width, spec.full_height
    square = max(1, math.ceil(max(width, height) / (2 * side)))
    columns, lines = math.ceil(width / square), math.ceil(height / square)
    total = np.zeros((lines, columns, len(offsets)), np.float32)
    left, right = max(spec.x, spec.full_x), min(spec.x + spec.width, spec.full_x + width)
    for y, pixels in _blocks(image, name, 0, spec, span):
        top, bottom = max(y, spec.full_y), min(y + len(pixels), spec.full_y + height)
        if top >= bottom or left >= right:
            continue  # outside of the display window
        part = pixels[top - y : bottom - y, left - spec.x : right - spec.x][:, :, offsets]
        padded = np.zeros((len(part), columns * square, len(offsets)), np.float32)
        padded[:, left - spec.full_x : right - spec.full_x] = np.nan_to_num(part, nan=0.0)
        summed = padded.reshape(len(part), columns, square, len(offsets)).sum(axis=2)
        cell_rows = (np.arange(top, bottom) - spec.full_y) // square
        starts = np.flatnonzero(np.diff(cell_rows, prepend=-1))
        total[cell_rows[starts]] += np.add.reduceat(summed, starts, axis=0)
    total /= (_lengths(lines, height, square)[:, None] * _lengths(columns, width, square)[None, :])[:, :, None]
    described = oiio.ImageSpec(columns, lines, len(offsets), oiio.FLOAT)
    described.channelnames = ("R", "G", "B", "A")[: len(offsets)]
    if len(offsets) == 4:
        described.alpha_channel = 3
    reduced = oiio.ImageBuf(described)
    reduced.set_pixels(oiio.ROI(0, columns, 0, lines, 0, 1, 0, len(offsets)), total)
    return reduced


def _lengths(cells: int, length: int, square: int) -> Any:
    """Return the number of pixels of each cell; the last one may be cut off."""
    return np.minimum(square, length - np.arange(cells) * square)


def _visible_channels(spec: Spec, name: str) -> list[int]:
    """Return the indices of the color and alpha channels: of the Combined layer, else of the first one."""
    names = list(spec.channelnames)
    if not names or spec.full_width < 1 or spec.full_height < 1:
        raise BadImage(f"{name} cannot be shown: it has no pixels.")
    layer = next((channel[:-1] for channel in names if channel.endswith("Combined.R")), None)
    if layer is None:
        layer = next((channel[:-1] for channel in names if channel == "R" or channel.endswith(".R")), None)
    colors = [names.index(f"{layer}{color}") for color in "RGBA" if f"{layer}{color}" in names]
    return colors or [0, 0, 0]


def _tone_mapped(image: Any) -> Any:
    """Convert linear light to sRGB: unchanged up to the shoulder, then compressed by x / (1 + x/rest) towards white."""
    algo, rest, channels = oiio.ImageBufAlgo, 1.0 - _SHOULDER, image.spec().nchannels
    over = algo.max(algo.sub(image, _SHOULDER), 0.0)
    base = algo.max(algo.min(image, _SHOULDER), 0.0)
    compressed = algo.div(over, algo.add(algo.mul(over, 1.0 / rest), 1.0))
    toned = algo.colorconvert(algo.add(base, compressed), "linear", "sRGB")
    if channels < 4:
        return toned
    alpha = algo.channels(image, ("A",))
    return algo.channel_append(algo.channels(toned, ("R", "G", "B")), alpha)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".")[:500] + "." if lines else "it cannot be decoded."
