"""Whether an image file is whole, its last pixel included; and small copies to look at. Only here is OpenImageIO known.

Blender reports success on a full disk and leaves truncated files behind, so every frame is decoded once.
"""

from dataclasses import dataclass
from pathlib import Path

import OpenImageIO as oiio

from renderctl.errors import BadImage


@dataclass(frozen=True)
class ImageFacts:
    """What an image file holds."""

    width: int  #: pixels
    height: int
    channels: int  #: of all parts together
    parts: int  #: layers that are kept apart in the file; 1 but for multi-part EXR
    format: str  #: png, jpeg, openexr, …


def verify(path: Path, *, width: int | None = None, height: int | None = None) -> ImageFacts:
    """Decode every pixel of the image at `path`. Raises BadImage, saying what is wrong with it.

    `width` and `height` in pixels are what it must have, where they are given.
    """
    _must_have_bytes(path)
    image = oiio.ImageInput.open(str(path))
    if image is None:
        raise BadImage(f"{path.name} is not a whole image: {_first_line(oiio.geterror())}")
    try:
        facts = _read_all(image, path.name)
    finally:
        image.close()
    if (width is not None and facts.width != width) or (height is not None and facts.height != height):
        raise BadImage(f"{path.name} has {facts.width}x{facts.height} pixels in place of {width}x{height}.")
    return facts


#: Brightness from which a copy to look at is compressed, so that lights brighter than white keep some form.
_SHOULDER = 0.8


def write_small(path: Path, target: Path, side: int) -> None:
    """A copy of the image at `path`, its longer side `side` pixels at most, as `target`'s extension says; in sRGB.

    What has no upper limit (EXR) is toned down to what a screen shows. Raises BadImage.
    """
    image = _picture(oiio.ImageBuf(str(path)), path.name)
    spec = image.spec()
    scale = min(1.0, side / max(spec.full_width, spec.full_height, 1))
    size = [max(1, round(length * scale)) for length in (spec.full_width, spec.full_height)]
    is_open = spec.format.basetype in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE)
    small = oiio.ImageBufAlgo.resize(image, roi=oiio.ROI(0, size[0], 0, size[1], 0, 1, 0, spec.nchannels))
    shown = _toned(small) if is_open else small
    if shown.has_error or not shown.write(str(target), oiio.UINT8):
        raise BadImage(f"{path.name} can not be shown: {_first_line(shown.geterror() or small.geterror())}")


def _picture(image: "oiio.ImageBuf", name: str) -> "oiio.ImageBuf":
    """Its colours and its alpha: of a file of layers the combined one, else the first."""
    names = list(image.spec().channelnames)
    if image.has_error or not names:
        raise BadImage(f"{name} can not be shown: {_first_line(image.geterror())}")
    layer = next((each[:-1] for each in names if each.endswith("Combined.R")), None)
    if layer is None:
        layer = next((each[:-1] for each in names if each == "R" or each.endswith(".R")), None)
    coloured = [f"{layer}{each}" for each in "RGBA" if f"{layer}{each}" in names]
    wanted = coloured or names[:1] * 3
    called = ("R", "G", "B", "A")[: len(wanted)]
    return oiio.ImageBufAlgo.channels(image, tuple(wanted), newchannelnames=called)


def _toned(image: "oiio.ImageBuf") -> "oiio.ImageBuf":
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


def _must_have_bytes(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadImage(f"{path.name} is not there.") from error
    if size == 0:
        raise BadImage(f"{path.name} is empty.")


def _read_all(image: "oiio.ImageInput", name: str) -> ImageFacts:
    first = image.spec()
    channels = parts = 0
    while image.seek_subimage(parts, 0):
        spec = image.spec()
        pixels = image.read_image(parts, 0, 0, spec.nchannels, spec.format)
        if pixels is None or image.has_error:
            raise BadImage(f"{name} is damaged or cut off: {_first_line(image.geterror())}")
        channels += spec.nchannels
        parts += 1
    if parts == 0:
        raise BadImage(f"{name} holds no image.")
    return ImageFacts(
        first.full_width or first.width, first.full_height or first.height, channels, parts, image.format_name()
    )


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else "it can not be decoded."
