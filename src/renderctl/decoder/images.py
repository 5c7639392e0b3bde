"""The facts of a decoded image."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFacts:
    """Size, channels and format of an image file."""

    width: int  #: pixels
    height: int
    channels: int  #: of all parts in total
    parts: int  #: parts of a multi-part EXR; 1 for all others
    format: str  #: png, jpeg, openexr, …
