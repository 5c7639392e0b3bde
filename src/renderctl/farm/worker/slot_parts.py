"""What a slot works with, whom it tells, and the frame that it has ordered."""

from collections.abc import Callable
from dataclasses import dataclass

from renderctl.blender.events import Progress
from renderctl.blender.session import FrameRequest
from renderctl.core.jobs import Attempt, Failure, Job
from renderctl.farm.worker.attempt_dir import AttemptDir
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.in_flight import InFlight
from renderctl.farm.worker.publisher import PublishedFrame
from renderctl.farm.worker.session_slot import OpenSession, SessionSlot
from renderctl.farm.worker.work_source import WorkSource


@dataclass(frozen=True)
class Listeners:
    """Who is told what a slot does; called from its thread."""

    on_published: Callable[[PublishedFrame], None] = lambda _published: None
    on_failed: Callable[[Attempt, Failure], None] = lambda _attempt, _failure: None
    on_progress: Callable[[Attempt, Progress], None] = lambda _attempt, _progress: None
    on_session: Callable[[Job, OpenSession], None] = lambda _job, _session: None


@dataclass(frozen=True)
class RequestedFrame:
    """A frame that a session was told to render, and the places of what it leaves."""

    ready: OpenSession
    attempt_dir: AttemptDir
    request: FrameRequest


@dataclass(frozen=True)
class SlotParts:
    """What a slot works with."""

    source: WorkSource
    session_slot: SessionSlot
    in_flight: InFlight  #: shared by the slots of a worker
    health: Health  #: of the node
