"""What a slot works with, whom it tells, and the frame that it has ordered."""

from collections.abc import Callable
from dataclasses import dataclass

from renderctl.blender.events import Progress
from renderctl.blender.session import FrameOrder
from renderctl.farm.work.health import Health
from renderctl.farm.work.held import Held
from renderctl.farm.work.publishing import Published
from renderctl.farm.work.sessions import Ready, Sessions
from renderctl.farm.work.tray import Tray
from renderctl.farm.work.turns import Turns
from renderctl.jobs import Attempt, Failure, Job


@dataclass(frozen=True)
class Listeners:
    """Who is told what a slot does; called from its thread."""

    on_published: Callable[[Published], None] = lambda _published: None
    on_failed: Callable[[Attempt, Failure], None] = lambda _attempt, _failure: None
    on_progress: Callable[[Attempt, Progress], None] = lambda _attempt, _progress: None
    on_ready: Callable[[Job, Ready], None] = lambda _job, _ready: None


@dataclass(frozen=True)
class Ordered:
    """A frame that a session was told to render, and the places of what it leaves."""

    ready: Ready
    tray: Tray
    order: FrameOrder


@dataclass(frozen=True)
class Tools:
    """What a slot works with."""

    turns: Turns
    sessions: Sessions
    held: Held  #: shared by the slots of a worker
    health: Health  #: of the node
