"""Clocks: the time of day, durations and waiting, injected so that tests control time."""

import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    """A source of time; the only place where the program waits."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the time of day, timezone-aware, in UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; they never jump."""

    @abstractmethod
    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        """Wait for `seconds`, or until `event` is set if it is given. Returns whether it is set."""


class SystemClock(Clock):
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the system's time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return time.monotonic()."""
        return time.monotonic()

    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        """Block the thread."""
        if event is not None:
            return event.wait(max(seconds, 0.0))
        time.sleep(max(seconds, 0.0))
        return False
