"""What a session says, as typed messages: see `templates/session_lib/protocol.py` for the other end.

Scripts of a scene may say what they like instead. So a line is read here and nowhere else: what comes out is a message
whose every field has its type and its bounds, or InvalidEvent is raised, whatever the line was.
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

#: Every line of ours begins with it; what a `blender` prints before the script starts does not.
PREFIX = "@renderctl "

#: Characters of an event: the facts of a scene with 100,000 files fit in.
MAX_EVENT_CHARS = 48 << 20
#: Lists and objects of an event, all together: each takes up to 30 times its characters in memory.
MAX_EVENT_NODES = 500_000
#: Files of a frame, devices of a machine.
MAX_FILES, MAX_DEVICES = 10_000, 256
#: What a session can know of: that a part of the farm was away is not for it to say.
_FAULTS = frozenset({Fault.SCENE, Fault.MACHINE})
#: Pixels of a side of an image: twice what Blender can render, for a stereo pair.
MAX_SIDE = 1 << 17


@dataclass(frozen=True)
class Started:
    """Blender is up."""

    version: str  #: such as `5.0.1`


@dataclass(frozen=True)
class Devices:
    """What Cycles can render on."""

    names: tuple[str, ...]  #: `CPU`, and each GPU, such as `OPTIX: NVIDIA L4`


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
    task_id: str | None = None


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
    task_id: str | None = None


@dataclass(frozen=True)
class Failed:
    """A task, or (without one) whatever the script was asked for, came to nothing."""

    failure: Failure
    task_id: str | None = None


@dataclass(frozen=True)
class Left:
    """The script has ended; the session waits for another one."""


Message = Started | Devices | Facts | Opened | Progress | Rendered | Failed | Left


def parse_message(line: str) -> Message | None:
    """The message in a line; None: the line is Blender's chatter. Raises InvalidEvent, and nothing else."""
    if not line.startswith(PREFIX):
        return None
    event = _parse_json(line.removeprefix(PREFIX))
    kind = event.get("event")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise InvalidEvent("there is no such event")
    return parse(Fields({name: value for name, value in event.items() if name != "event"}, str(kind)))


def _parse_json(text: str) -> Mapping[str, Any]:
    if len(text) > MAX_EVENT_CHARS:
        raise InvalidEvent(f"an event has more than {MAX_EVENT_CHARS} characters")
    if text.count("[") + text.count("{") > MAX_EVENT_NODES:
        raise InvalidEvent(f"an event has more than {MAX_EVENT_NODES} lists and objects")
    try:
        event = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("an event is no JSON") from error
    if not isinstance(event, dict):
        raise InvalidEvent("an event is no JSON object")
    return event


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")


def _started(fields: Fields) -> Started:
    return Started(fields.name("version"))


def _devices(fields: Fields) -> Devices:
    return Devices(fields.names("devices", most=MAX_DEVICES))


def _ready(fields: Fields) -> Opened:
    extension = fields.name("extension")
    if not re.fullmatch(r"[A-Za-z0-9]{1,8}", extension):
        raise InvalidEvent("ready.extension is none")
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
        raise InvalidEvent("failed.fault is none of a session's")
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
