"""What a session says, read from its lines: see `templates/inside/wire.py` for the other end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderctl.jobs import Failure, Fault

#: Every line of ours begins with it; what a `blender` prints before the script starts does not.
PREFIX = "@renderctl "

Event = Mapping[str, Any]


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
        version=event["version"],
        engine=event["engine"],
        device=event["device"],
        width=event["width"],
        height=event["height"],
        extension=event["extension"],
        notes=tuple(event.get("notes", ())),
    )


def read_progress(event: Event) -> Progress:
    known = {key: value for key, value in event.items() if key in Progress.__dataclass_fields__}
    return Progress(**known)


def read_rendered(event: Event) -> Rendered:
    files = tuple(Written(Path(file["path"]), file["name"]) for file in event["files"])
    return Rendered(files, event["seconds"], event["memory_mb"])


def read_failure(event: Event) -> Failure:
    return Failure(Fault(event["fault"]), event["reason"], bool(event.get("whole_job", False)))
