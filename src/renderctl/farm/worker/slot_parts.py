"""What a slot works with, whom it tells, and the frame that it has ordered."""

from collections.abc import Callable
from dataclasses import dataclass

from renderctl.blender.events import Progress
from renderctl.blender.session import FrameRequest
from renderctl.core.jobs import Attempt, Failure, Job
from renderctl.farm.worker.attempt_dir import AttemptDir
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.in_flight import InFlight
from renderctl.farm.worker.publisher import Published
from renderctl.farm.worker.session_slot import OpenSession, SessionSlot
from renderctl.farm.worker.work_source import WorkSource


@dataclass(frozen=True)
class Listeners:
    """Who is told what a slot does; called from its thread."""

    on_published: Callable[[Published], None] = lambda _published: None
    on_failed: Callable[[Attempt, Failure], None] = lambda _attempt, _failure: None
    on_progress: Callable[[Attempt, Progress], None] = lambda _attempt, _progress: None
    on_ready: Callable[[Job, OpenSession], None] = lambda _job, _ready: None


@dataclass(frozen=True)
class Ordered:
    """A frame that a session was told to render, and the places of what it leaves."""

    ready: OpenSession
    tray: AttemptDir
    order: FrameRequest


@dataclass(frozen=True)
class SlotParts:
    """What a slot works with."""

    turns: WorkSource
    sessions: SessionSlot
    held: InFlight  #: shared by the slots of a worker
    health: Health  #: of the node
