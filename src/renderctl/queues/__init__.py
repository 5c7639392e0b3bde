"""The queue: whose turn it is. It holds jobs, each once, never tasks, and is never the truth."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ticket:
    """A turn: the right of one slot to work on one job for a while."""

    job_id: str
    serial: int  #: valid while it is the job's current one


class Queue(ABC):
    """Tickets by pool and priority. One may get lost or come twice: serials make that harmless."""

    @abstractmethod
    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        """Put a ticket at the tail of its priority (0 to 10, 10 first), visible after `delay_s` seconds or a bit more.

        The same ticket put again may come once or twice. Raises QueueUnavailable: then it may have been put, or not.
        """

    @abstractmethod
    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        """Take the ticket whose turn it is among `pools`: no one else gets it, and it is gone from the queue.

        Highest priority first; of equal ones in one pool the one that was put first, while several pools may take
        turns. None: nothing came within `timeout_s` seconds, or until soon after `stop` was set. Raises
        QueueUnavailable, soon, when the queue is away.
        """

    @abstractmethod
    def check(self) -> str:
        """What and where the queue is, in a few words. Raises QueueUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files."""
