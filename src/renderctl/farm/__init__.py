"""The use-cases: `verb(farm, actor, …) -> result`. A farm is its ports, a clock and settings; it has no methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderctl.core.clocks import Clock
from renderctl.core.settings import Settings

if TYPE_CHECKING:  # the ports' modules are heavy; who answers from the cache alone pays for none of them
    from renderctl.caches import Cache
    from renderctl.decoder import Decoder
    from renderctl.executors import Executor
    from renderctl.executors.images import Images
    from renderctl.queues import Queue
    from renderctl.repository import Repository
    from renderctl.stores import Store


@dataclass(frozen=True)
class Farm:
    settings: Settings
    repository: "Repository"
    store: "Store"
    queue: "Queue"
    cache: "Cache"
    executor: "Executor"
    images: "Images"
    decoder: "Decoder"
    clock: Clock


@dataclass(frozen=True)
class Progress:
    """How far a longer piece of work is."""

    what: str  #: such as `Uploading`
    done: int
    total: int
    unit: str = "files"


#: Called from the thread that does the work.
OnProgress = Callable[[Progress], None]


def ignore_progress(_advance: Progress) -> None:
    """For callers who do not show how far the work is."""
