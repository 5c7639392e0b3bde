"""Workers: who they are, what they can do, what they are doing."""

from dataclasses import dataclass, field
from datetime import datetime

from renderctl.states import WorkerState


@dataclass(frozen=True)
class Capabilities:
    """What a node offers."""

    cores: int
    memory_mb: int
    blenders: tuple[str, ...] = ()  #: versions
    gpus: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Beat:
    """One heartbeat: what a worker holds, and how far it is."""

    worker_id: str
    incarnation: str
    progress: dict[str, float] = field(default_factory=dict)  #: attempt id -> 0 to 1


@dataclass(frozen=True)
class Orders:
    """The answer to a heartbeat."""

    stop: frozenset[str] = frozenset()  #: attempts that were canceled or superseded
    drain: bool = False
    superseded: bool = False  #: a newer incarnation has the worker's name
