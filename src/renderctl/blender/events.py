"""The events of a session as typed messages; `templates/session_lib/protocol.py` is the other end.

A scene's scripts can forge lines. So all lines are parsed here: the result is a message whose fields all have checked
types and bounds, or InvalidEvent is raised, whatever the line was.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from renderctl.blender.facts import Facts, parse_facts
from renderctl.blender.failures import InvalidEvent
from renderctl.blender.fields import Fields
from renderctl.core.jobs import Failure, Fault
from renderctl.core.limits import MAX_NAME, MAX_NOTE, MAX_NOTES

#: Prefix of every event line, which tells it from other output.
PREFIX = "@renderctl "

#: Characters of an event: enough for the facts of a scene with 100,000 files.
MAX_EVENT_CHARS = 48 << 20
#: Lists and objects of an event in total: each takes up to 30 times its characters in memory.
MAX_EVENT_NODES = 500_000
#: Files of a frame; devices of a machine.
MAX_FILES, MAX_DEVICES = 10_000, 256
#: Faults that a session may report; it cannot know of the farm's.
_FAULTS = frozenset({Fault.SCENE, Fault.MACHINE})
#: Pixels of an image's side: twice Blender's maximum, for stereo pairs.
MAX_SIDE = 1 << 17


@dataclass(frozen=True)
class Started:
    """Blender has started."""

    version: str  #: such as `5.0.1`


@dataclass(frozen=True)
class Devices:
    """The devices that Cycles can render on."""

    names: tuple[str, ...]  #: `CPU`, and each GPU, such as `OPTIX: NVIDIA L4`


@dataclass(frozen=True)
class Opened:
    """A scene that is open and ready to render."""

    version: str  #: of Blender
    engine: str  #: Blender's identifier
    device: str  #: the device that actually renders: `CPU`, `OPTIX: NVIDIA …`, `OpenGL`
    width: int  #: pixels of the images
    height: int
    extension: str  #: of the images, without a dot
    notes: tuple[str, ...] = ()  #: notes for the artist
    image: str | None = None  #: ID of the container image of Blender; None: it is installed here


@dataclass(frozen=True)
class Progress:
    """The progress of a frame."""

    fraction: float | None = None  #: 0 to 1; None: unknown in this phase
    sample: int | None = None
    samples: int | None = None
    tile: int | None = None
    tiles: int | None = None
    remaining_s: float | None = None  #: Blender's estimate
    memory_mb: float | None = None  #: of the render device
    phase: str = ""
    task_id: str | None = None


@dataclass(frozen=True)
class Written:
    """An output file of a frame."""

    path: Path
    name: str  #: relative to the task's folder


@dataclass(frozen=True)
class Rendered:
    """A frame that Blender has finished; whether its files are complete is verified by the decoder."""

    files: tuple[Written, ...]  #: the image first, then the compositor's files
    seconds: float
    memory_mb: float  #: peak memory of Blender so far
    task_id: str | None = None


@dataclass(frozen=True)
class Failed:
    """A task failed, or without a task id, the script."""

    failure: Failure
    task_id: str | None = None


@dataclass(frozen=True)
class Left:
    """The script has ended; the session accepts another one."""


Message = Started | Devices | Facts | Opened | Progress | Rendered | Failed | Left


def parse_message(line: str) -> Message | None:
    """Parse a line; None for Blender's other output. Raises InvalidEvent, and nothing else."""
    if not line.startswith(PREFIX):
        return None
    event = _parse_json(line.removeprefix(PREFIX))
    kind = event.get("event")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise InvalidEvent("the event is unknown")
    return parse(Fields({name: value for name, value in event.items() if name != "event"}, str(kind)))


def _parse_json(text: str) -> Mapping[str, Any]:
    if len(text) > MAX_EVENT_CHARS:
        raise InvalidEvent(f"an event has more than {MAX_EVENT_CHARS} characters")
    if text.count("[") + text.count("{") > MAX_EVENT_NODES:
        raise InvalidEvent(f"an event has more than {MAX_EVENT_NODES} lists and objects")
    try:
        event = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("an event is not JSON") from error
    if not isinstance(event, dict):
        raise InvalidEvent("an event is not a JSON object")
    return event


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _started(fields: Fields) -> Started:
    return Started(fields.name("version"))


def _devices(fields: Fields) -> Devices:
    return Devices(fields.names("devices", most=MAX_DEVICES))


def _ready(fields: Fields) -> Opened:
    extension = fields.name("extension")
    if not re.fullmatch(r"[A-Za-z0-9]{1,8}", extension):
        raise InvalidEvent("ready.extension is not a file extension")
    return Opened(
        version=fields.name("version"),
        engine=fields.name("engine"),
        device=fields.sentence("device", most=MAX_NAME),
        width=fields.integer("width", least=1, most=MAX_SIDE),
        height=fields.integer("height", least=1, most=MAX_SIDE),
        extension=extension,
        notes=fields.sentences("notes", most=MAX_NOTES, chars=MAX_NOTE) if fields.has("notes") else (),
    )


def _progress(fields: Fields) -> Progress:
    counts = {name: fields.integer(name) for name in ("sample", "samples", "tile", "tiles") if fields.has(name)}
    figures = {name: fields.number(name) for name in ("fraction", "remaining_s", "memory_mb") if fields.has(name)}
    phase = fields.sentence("phase", most=MAX_NAME) if fields.has("phase") else ""
    return Progress(**counts, **figures, phase=phase, task_id=_task(fields))  # type: ignore[arg-type]


def _done(fields: Fields) -> Rendered:
    files = tuple(
        Written(Path(file.path("path")), file.name("name")) for file in fields.objects("files", most=MAX_FILES)
    )
    return Rendered(files, fields.number("seconds"), fields.number("memory_mb"), _task(fields))


def _failed(fields: Fields) -> Failed:
    fault = fields.name("fault")
    if fault not in _FAULTS:
        raise InvalidEvent("failed.fault is not a fault of a session")
    whole_job = fields.flag("whole_job") if fields.has("whole_job") else False
    return Failed(Failure(Fault(fault), fields.sentence("reason"), whole_job), _task(fields))


def _left(_fields: Fields) -> Left:
    return Left()


def _task(fields: Fields) -> str | None:
    return fields.name("task") if fields.has("task") else None


_PARSERS: Mapping[str, Callable[[Fields], Message]] = {
    "started": _started,
    "devices": _devices,
    "facts": parse_facts,
    "ready": _ready,
    "progress": _progress,
    "done": _done,
    "failed": _failed,
    "left": _left,
}
