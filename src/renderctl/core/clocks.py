"""Time, as a parameter: what o'clock it is, how long something took, and the one place that waits."""

import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    """Time for everything that asks for it, so that a test can turn it by hand."""

    @abstractmethod
    def now(self) -> datetime:
        """The time of day, aware, in UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds since some moment; they never jump."""

    @abstractmethod
    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        """Let `seconds` go by, or fewer when `event` is set before; whether it is set. None: just wait."""


class SystemClock(Clock):
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        if event is not None:
            return event.wait(max(seconds, 0.0))
        time.sleep(max(seconds, 0.0))
        return False
