"""What is known of a decoded image."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFacts:
    """What an image file holds."""

    width: int  #: pixels
    height: int
    channels: int  #: of all parts together
    parts: int  #: layers that are kept apart in the file; 1 but for multi-part EXR
    format: str  #: png, jpeg, openexr, …
