"""Whether an image file is whole: its last pixel included. Only this module knows OpenImageIO.

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
