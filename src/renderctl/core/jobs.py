"""Jobs, tasks, attempts and outputs."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from renderctl.core import limits
from renderctl.core.errors import InvalidInput, did_you_mean
from renderctl.core.frames import FrameSet
from renderctl.core.limits import MAX_NAME, require_few, require_text
from renderctl.core.requirements import NO_REQUIREMENTS, Requirements
from renderctl.core.states import AttemptState, JobState, TaskState

#: Image formats by Blender's identifiers, with their file extensions.
FORMATS: Mapping[str, str] = {
    "PNG": "png",
    "JPEG": "jpg",
    "OPEN_EXR": "exr",
    "OPEN_EXR_MULTILAYER": "exr",
    "WEBP": "webp",
    "TIFF": "tif",
}
ENGINES = ("cycles", "eevee", "workbench")
DEVICES = ("auto", "cpu", "cuda", "optix", "hip", "metal", "oneapi")
#: `--quality`: the longer side in pixels (the aspect ratio is kept) and the samples per pixel.
QUALITIES: Mapping[str, tuple[int, int]] = {"1k": (1024, 64), "2k": (2048, 128), "4k": (4096, 256)}


@dataclass(frozen=True)
class Replacement:
    """An object that is replaced by an imported model."""

    object: str
    file: str  #: path among the job's inputs (`_inputs/…`)


@dataclass(frozen=True)
class RenderOptions:
    """How to render a model. None keeps the scene's setting."""

    scene: str | None = None
    view_layer: str | None = None
    engine: str | None = None  #: one of ENGINES
    samples: int | None = None
    resolution: tuple[int, int] | None = None  #: width, height in pixels, before the percentage
    percentage: int | None = None
    quality: str | None = None  #: one of QUALITIES; samples and resolution take precedence
    format: str | None = None  #: one of FORMATS
    device: str = "auto"  #: one of DEVICES
    denoise: bool | None = None
    settings: Mapping[str, str] = field(default_factory=dict)  #: `--set`: RNA path -> value as text
    replacements: tuple[Replacement, ...] = ()
    allow_missing: bool = False
    trust_scripts: bool = False
    blender: str | None = None  #: version to render with, such as `4.5`; None: the one closest to the scene's

    def __post_init__(self) -> None:
        _require_choice("engine", self.engine, ENGINES)
        _require_choice("device", self.device, DEVICES)
        _require_choice("quality", self.quality, tuple(QUALITIES))
        _require_choice("format", self.format, tuple(FORMATS))
        if self.blender is not None and not re.fullmatch(r"\d{1,2}\.\d{1,2}", self.blender):
            raise InvalidInput(f"{self.blender!r} is not a version of Blender.", hint="Write two numbers, such as 4.5.")
        _require_range("number of samples", self.samples, 1, 1 << 24)
        _require_range("percentage", self.percentage, 1, 32767)
        for pixels in self.resolution or ():
            _require_range("resolution", pixels, 4, 65536)

    def as_document(self) -> dict[str, Any]:
        """Return the options as a JSON document."""
        return {**asdict(self), "settings": dict(self.settings)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "RenderOptions":
        """Read the options of a JSON document; keys of other versions are ignored. Raises InvalidInput."""
        known = {option.name for option in fields(cls)}
        values = {key: value for key, value in document.items() if key in known}
        values["replacements"] = tuple(Replacement(**replacement) for replacement in values.get("replacements", ()))
        if values.get("resolution"):
            values["resolution"] = tuple(values["resolution"])
        return cls(**values)


def require_valid_options(options: RenderOptions) -> None:
    """Validate the options of a request against the limits; stored jobs are not checked again.

    Raises InvalidInput.
    """
    require_few("properties to set", options.settings, limits.MAX_PROPERTIES)
    require_few("replacements", options.replacements, limits.MAX_REPLACEMENTS)
    for what, name in (("scene", options.scene), ("view layer", options.view_layer)):
        if name is not None:
            require_text(f"The name of the {what}", name)
    for path, value in options.settings.items():
        require_text("A property to set", path, limits.MAX_PATH)
        require_text(f"The value of {path[:100]!r}", value, limits.MAX_VALUE)
    for replacement in options.replacements:
        require_text("The name of an object", replacement.object)
        require_text("The path of a file", replacement.file, limits.MAX_PATH)


def _require_choice(option: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise InvalidInput(f"There is no {option} {value!r}.", hint=did_you_mean(value, list(known)))


def _require_range(option: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidInput(f"A {option} of {value} is not possible.", hint=f"It must be {least} to {most}.")


@dataclass(frozen=True)
class Input:
    """A file of a model or a job: its path below the scene's root, and its blob."""

    path: str  #: POSIX, relative to the root
    digest: str  #: hex SHA-256
    size: int  #: bytes


@dataclass(frozen=True)
class NewJob:
    """The job of a submission."""

    name: str
    model_id: str
    options: RenderOptions
    frames: FrameSet
    cameras: tuple[str | None, ...] = (None,)  #: None: the scene's own
    inputs: tuple[Input, ...] = ()
    project: str = "default"
    pool: str = "default"
    priority: int = 5  #: 0 to 10, 10 first
    max_slots: int | None = None
    max_attempts: int = 3
    frame_timeout_s: float | None = None
    after: tuple[str, ...] = ()  #: ids of jobs that must succeed first
    after_any: tuple[str, ...] = ()  #: ids of jobs that must end first, in any state
    paused: bool = False
    in_order: bool = False  #: one slot renders the frames in order (a simulation that is not baked)
    requirements: Requirements = NO_REQUIREMENTS
    bound_to: str | None = None  #: id of the worker it is reserved for while that worker is alive
    idempotency_key: str | None = None
    notes: tuple[str, ...] = ()  #: for the artist

    def __post_init__(self) -> None:
        _require_range("priority", self.priority, 0, 10)
        _require_range("number of attempts", self.max_attempts, 1, 100)
        _require_range("number of slots", self.max_slots, 1, 1 << 20)
        if self.frame_timeout_s is not None and not 0 < self.frame_timeout_s < float("inf"):
            raise InvalidInput(f"A frame timeout of {self.frame_timeout_s} seconds is not possible.")
        if not self.name.strip() or not self.pool.strip() or not self.project.strip():
            raise InvalidInput("A job's name, pool and project must not be empty.")
        if max(map(len, (self.name, self.pool, self.project, self.idempotency_key or ""))) > MAX_NAME:
            raise InvalidInput(
                f"A job's name, pool, project and idempotency key may have at most {MAX_NAME} characters."
            )


@dataclass(frozen=True)
class TaskCounts:
    """The number of a job's tasks in each state."""

    blocked: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def total(self) -> int:
        """The number of all tasks."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Job:
    """A render job: a model, its options and frames, and its state."""

    id: str
    name: str
    state: JobState
    model_id: str
    model: str  #: `name@version`
    options: RenderOptions
    frames: str
    cameras: tuple[str | None, ...]
    project: str
    owner: str
    pool: str
    priority: int
    max_slots: int | None
    max_attempts: int
    frame_timeout_s: float | None
    in_order: bool
    bound_to: str | None
    serial: int  #: of its current ticket; older tickets are stale
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    notes: tuple[str, ...] = ()  #: notes for the artist: a default camera, blocked scripts, …
    requirements: Requirements = NO_REQUIREMENTS
    pause_reason: str | None = None  #: why the farm paused it; None if a person did


@dataclass(frozen=True)
class Task:
    """One frame of a job, rendered by one camera."""

    job_id: str
    number: int  #: 1 … n within the job, in rendering order
    frame: int
    camera: str | None
    state: TaskState
    attempts: int  #: attempts that were started and count against max_attempts
    error: str | None = None

    @property
    def id(self) -> str:
        """JOB-NUMBER."""
        return f"{self.job_id}-{self.number}"


#: Prefix of the name of a log that several attempts share; the first attempt's id follows.
SHARED_LOG = "with-"


@dataclass(frozen=True)
class Attempt:
    """One execution of a task by a worker; its id is the fencing token."""

    id: str
    job_id: str
    number: int  #: the task's
    frame: int
    camera: str | None
    worker_id: str
    state: AttemptState
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: float = 0.0  #: 0 to 1
    error: str | None = None
    log: str | None = None  #: LOG:START:END, a byte range of a shared log; None: a log of its own

    @property
    def task_id(self) -> str:
        """JOB-NUMBER, the task's id."""
        return f"{self.job_id}-{self.number}"


@dataclass(frozen=True)
class Output:
    """A published file of a task: a blob and its name."""

    name: str  #: file name, with extension; several per frame where the compositor writes more
    digest: str
    size: int
    width: int | None = None
    height: int | None = None
    frame: int = 0
    camera: str | None = None
    number: int = 0  #: the task's
    device: str | None = None  #: the device that it was actually rendered on
    image: str | None = None  #: digest of the container image that rendered it


class Fault(StrEnum):
    """The cause of a failure; a fault of the scene is not retried."""

    SCENE = "scene"
    MACHINE = "machine"
    FARM = "farm"  #: such as a store out of reach: it does not count against the worker


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed."""

    fault: Fault
    reason: str  #: a sentence
    whole_job: bool = False  #: every other task of the job would fail in the same way


#: Seconds before the second, third, … attempt.
RETRY_DELAYS_S = (2.0, 10.0, 30.0, 120.0)


def retry_delay(failure: Failure, attempts: int, max_attempts: int) -> float | None:
    """Return the seconds until a task with `attempts` attempts is retried; None: it has failed."""
    lost = failure.fault is Fault.FARM and failure.whole_job  # a file is missing in the store
    if failure.fault is Fault.SCENE or lost or attempts >= max_attempts:
        return None
    return RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S)) - 1]


@dataclass(frozen=True)
class RemovedJob:
    """A job that was removed, or that would be."""

    job_id: str
    name: str
    tasks: int
    outputs: int
    output_bytes: int  #: what `gc` frees of the store, unless other jobs have rendered the same
    freed: tuple[str, ...] = ()  #: jobs that no longer wait


@dataclass(frozen=True)
class JobSummary:
    """A job, and what has become of it so far."""

    job: Job
    counts: TaskCounts
    outputs: int
    running: dict[str, float]  #: how far each frame is that is being rendered, by the ids of the attempts
    frame_seconds: float | None  #: what the last frames took on average; None: none is finished, or none is running
    at: datetime  #: by the database's clock: all that was committed before it is in here
    image: str | None = None  #: digest of the container image that rendered the last of its frames
