"""Workers, their capabilities, heartbeats and current work."""

from dataclasses import dataclass, field
from datetime import datetime

from renderctl.core.requirements import Requirements
from renderctl.core.states import WorkerState


@dataclass(frozen=True)
class Capabilities:
    """What a node offers to jobs."""

    cores: int = 1
    memory_mb: int = 0
    blenders: tuple[str, ...] = ()  #: versions, such as `5.0.1`
    gpus: tuple[str, ...] = ()  #: as Blender names them, such as `OPTIX: NVIDIA L4`
    tags: tuple[str, ...] = ()  #: set by its owner (`worker.tags`)

    @property
    def offers(self) -> frozenset[str]:
        """All tags that a job can require: the owner's, of GPUs such as `optix`, of Blenders such as `blender-5.0`."""
        devices = (gpu.partition(":")[0].strip().lower() for gpu in self.gpus)
        return frozenset((*self.tags, *devices, *(f"blender-{_minor_version(version)}" for version in self.blenders)))

    def lacks(self, requirements: Requirements) -> str | None:
        """Return the first requirement that is not met, in words; None if all are met."""
        for tag in requirements.tags:
            if tag not in self.offers:
                return f"the tag {tag}"
        oldest = requirements.blender
        if oldest is not None and not any(_version_key(version) >= _version_key(oldest) for version in self.blenders):
            return f"Blender {oldest} or newer"
        return None


NO_CAPABILITIES = Capabilities()


def _minor_version(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


@dataclass(frozen=True)
class Worker:
    """A worker process on a node."""

    id: str
    host: str
    state: WorkerState
    incarnation: str  #: new at each start
    slots: int
    pools: tuple[str, ...]
    capabilities: Capabilities
    started_at: datetime
    seen_at: datetime
    tasks: tuple[str, ...] = ()  #: ids of its running tasks
    reason: str | None = None  #: why it accepts no work
    node: str | None = None  #: unique id of the installation that it belongs to


def effective_state(hold: WorkerState | None, problem: str | None) -> WorkerState:
    """Return the state of a worker with a current heartbeat: its hold, or else its node's health."""
    if hold is not None:
        return hold
    return WorkerState.UNHEALTHY if problem else WorkerState.ACTIVE


@dataclass(frozen=True)
class Heartbeat:
    """A heartbeat: a worker's attempts, their progress, and its node's health."""

    worker_id: str
    incarnation: str
    progress: dict[str, float] = field(default_factory=dict)  #: attempt id -> 0 to 1
    problem: str | None = None  #: what is wrong with its node
    drain: bool | None = None  #: requested on its node: drain (True) or resume (False)
    capabilities: Capabilities | None = None  #: set when they have changed
    idle: bool = False  #: whether one of its slots is idle
    count_idle: bool = False  #: whether the reply should count idle workers


@dataclass(frozen=True)
class HeartbeatReply:
    """The reply to a heartbeat."""

    stop: frozenset[str] = frozenset()  #: attempts that were canceled or superseded
    state: WorkerState = WorkerState.ACTIVE  #: the worker's state; unless active it accepts no work
    superseded: bool = False  #: a newer incarnation uses the worker's name
    idle_workers: int | None = None  #: number of idle workers, if requested


@dataclass(frozen=True)
class RunningTask:
    """The task of a slot, by the names that people know."""

    job_id: str
    job: str  #: its name
    number: int
    frame: int
    camera: str | None


@dataclass(frozen=True)
class CurrentWork:
    """What a worker's slot is working on."""

    worker_id: str
    started_at: datetime | None
    progress: float  #: 0 to 1
    task: RunningTask | None  #: None if the caller may not see its job


@dataclass(frozen=True)
class Sweeper:
    """The process that swept last."""

    holder: str
    seconds_ago: float  #: by the database's clock


@dataclass(frozen=True)
class SweepLease:
    """What the sweep's lease allows."""

    held: bool
    may_expire: bool  #: false in the first heartbeat limit: silence may not have been the workers' fault
    clock_set_back: bool = False  #: the database's clock, since the last sweep


@dataclass(frozen=True)
class Quarantined:
    """A worker that was just quarantined, and why."""

    worker_id: str
    reason: str
