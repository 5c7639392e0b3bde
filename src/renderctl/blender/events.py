"""What a session says, read from its lines: see `templates/inside/wire.py` for the other end.

Scripts of a scene may say what they like instead: what is read is of its type and in its bounds, or raises KeyError,
TypeError, AttributeError or ValueError.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderctl.jobs import Failure, Fault

#: Every line of ours begins with it; what a `blender` prints before the script starts does not.
PREFIX = "@renderctl "

Event = Mapping[str, Any]

#: What a sentence or a path may have of letters, and what no figure of a frame comes to.
_LONG, _MUCH = 4096, 1e15


@dataclass(frozen=True)
class Opened:
    """A scene that is ready to be rendered, as the session has it."""

    version: str  #: of the Blender
    engine: str  #: Blender's identifier
    device: str  #: what it really renders on: `CPU`, `OPTIX: NVIDIA …`, `OpenGL`
    width: int  #: pixels of the images
    height: int
    extension: str  #: of the images, without a dot
    notes: tuple[str, ...] = ()  #: what the artist should know
    image: str | None = None  #: digest of the image that the Blender comes from; None: it is installed here


@dataclass(frozen=True)
class Progress:
    """How far a frame is."""

    fraction: float | None = None  #: 0 to 1; None: not known in this phase
    sample: int | None = None
    samples: int | None = None
    tile: int | None = None
    tiles: int | None = None
    remaining_s: float | None = None  #: as Blender estimates
    memory_mb: float | None = None  #: of the render device
    phase: str = ""


@dataclass(frozen=True)
class Written:
    """A file that a frame left."""

    path: Path
    name: str  #: relative to the task's folder


@dataclass(frozen=True)
class Rendered:
    """A frame that is finished, as far as Blender knows: whether the files are whole is for `images.verify` to say."""

    files: tuple[Written, ...]  #: the image first, then what the compositor wrote
    seconds: float
    memory_mb: float  #: the most that Blender has used so far


def read_event(line: str) -> Event | None:
    """The event in a line; None: the line is Blender's chatter."""
    if not line.startswith(PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(PREFIX))
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def read_opened(event: Event) -> Opened:
    return Opened(
        version=_text(event["version"]),
        engine=_text(event["engine"]),
        device=_text(event["device"]),
        width=int(_number(event["width"])),
        height=int(_number(event["height"])),
        extension=_text(event["extension"]),
        notes=tuple(_text(note, most=_LONG) for note in event.get("notes", ())),
    )


def read_progress(event: Event) -> Progress:
    known = {key: value for key, value in event.items() if key in Progress.__dataclass_fields__ and value is not None}
    phase = _text(known.pop("phase", ""))
    return Progress(**{key: _number(value) for key, value in known.items()}, phase=phase)  # type: ignore[arg-type]


def read_rendered(event: Event) -> Rendered:
    files = tuple(Written(Path(_text(file["path"], most=_LONG)), _text(file["name"])) for file in event["files"])
    return Rendered(files, _number(event["seconds"]), _number(event["memory_mb"]))


def read_failure(event: Event) -> Failure:
    return Failure(Fault(event["fault"]), _text(event["reason"], most=_LONG), bool(event.get("whole_job", False)))


def _text(value: object, *, most: int = 255) -> str:
    """A text as the database takes it. Raises TypeError, ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"A {type(value).__name__} is no text.")
    value.encode()
    return value[:most]


def _number(value: object) -> int | float:
    """A number that something can be. Raises TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"A {type(value).__name__} is no number.")
    if not 0 <= value < _MUCH:
        raise ValueError("Nothing is that much.")
    return value
