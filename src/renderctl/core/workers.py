"""Workers: who they are, what they can do, what they are doing."""

from dataclasses import dataclass, field
from datetime import datetime

from renderctl.core.requirements import Requirements
from renderctl.core.states import WorkerState


@dataclass(frozen=True)
class Capabilities:
    """What a node offers."""

    cores: int = 1
    memory_mb: int = 0
    blenders: tuple[str, ...] = ()  #: versions, such as `5.0.1`
    gpus: tuple[str, ...] = ()  #: as Blender names them, such as `OPTIX: NVIDIA L4`
    tags: tuple[str, ...] = ()  #: its owner's own words

    @property
    def offers(self) -> frozenset[str]:
        """Every tag that a job may require: its owner's, `optix` and the like, `blender-5.0` and the like."""
        devices = (gpu.partition(":")[0].strip().lower() for gpu in self.gpus)
        return frozenset((*self.tags, *devices, *(f"blender-{_series(each)}" for each in self.blenders)))

    def lacks(self, requirements: Requirements) -> str | None:
        """The first thing that is required and not there, in words; None: a job may be rendered here."""
        for tag in requirements.tags:
            if tag not in self.offers:
                return f"the tag {tag}"
        oldest = requirements.blender
        if oldest is not None and not any(_numbers(each) >= _numbers(oldest) for each in self.blenders):
            return f"Blender {oldest} or newer"
        return None


NOTHING_OFFERED = Capabilities()


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


@dataclass(frozen=True)
class Worker:
    id: str
    host: str
    state: WorkerState
    incarnation: str  #: new at each start
    slots: int
    pools: tuple[str, ...]
    capabilities: Capabilities
    started_at: datetime
    seen_at: datetime
    tasks: tuple[str, ...] = ()  #: ids of the tasks it works on
    reason: str | None = None  #: why it takes no work
    node: str | None = None  #: which installation it is part of, by a number that no other one has


def effective_state(hold: WorkerState | None, complaint: str | None) -> WorkerState:
    """The state of a worker whose heart beats: what it is held in, else what its node's health allows."""
    if hold is not None:
        return hold
    return WorkerState.UNHEALTHY if complaint else WorkerState.ACTIVE


@dataclass(frozen=True)
class Heartbeat:
    """One heartbeat: what a worker holds, how far it is, and how its node is."""

    worker_id: str
    incarnation: str
    progress: dict[str, float] = field(default_factory=dict)  #: attempt id -> 0 to 1
    complaint: str | None = None  #: what is wrong with its node
    drain: bool | None = None  #: somebody on its node asked it to drain (True) or to go on (False)
    capabilities: Capabilities | None = None  #: when they have changed
    idle: bool = False  #: one of its slots looks for work
    count_idle: bool = False  #: it wants to know how many workers do


@dataclass(frozen=True)
class HeartbeatReply:
    """The answer to a heartbeat."""

    stop: frozenset[str] = frozenset()  #: attempts that were canceled or superseded
    state: WorkerState = WorkerState.ACTIVE  #: what the worker is now; unless active it takes no work
    superseded: bool = False  #: a newer incarnation has the worker's name
    idle_workers: int | None = None  #: how many look for work, if that was asked


@dataclass(frozen=True)
class RunningTask:
    """The task of a slot, by the names that people know it by."""

    job_id: str
    job: str  #: its name
    number: int
    frame: int
    camera: str | None


@dataclass(frozen=True)
class CurrentWork:
    """What a slot of a worker is doing."""

    worker_id: str
    started_at: datetime | None
    progress: float  #: 0 to 1
    task: RunningTask | None  #: None: of a job that whoever asks may not see
