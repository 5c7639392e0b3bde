"""The queue port: which job a free slot works on next.

A queue holds tickets for jobs, never tasks. The database stays the source of truth: a lost ticket is issued again
by the sweep, a duplicate one is recognized by its serial.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ticket:
    """A message that lets one slot work on one job for a while."""

    job_id: str
    serial: int  #: the ticket is valid while this is the job's current serial


class Queue(ABC):
    """Tickets by pool and priority, delivered at most once each under normal operation.

    A ticket may get lost or be delivered twice: serials make both harmless. Safe to use from several threads.
    """

    @abstractmethod
    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        """Append a ticket to its pool, behind others of the same priority (0 to 10, 10 is served first).

        It becomes visible after `delay_s` seconds or slightly later. A ticket put twice may be delivered once or twice.
        Raises QueueUnavailable; the ticket may have been stored nevertheless.
        """

    @abstractmethod
    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        """Remove and return the next ticket of `pools`; no other caller gets it.

        Highest priority first, then first in, first out within one pool; pools of equal priority may alternate.
        Blocks for up to `timeout_s` seconds, or until shortly after `stop` is set; returns None if no ticket came.
        Raises QueueUnavailable, without waiting for the timeout, when the queue is out of reach.
        """

    @abstractmethod
    def check(self) -> str:
        """Return the kind and location of the queue in a few words, after a test of it. Raises QueueUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Close connections and files."""
