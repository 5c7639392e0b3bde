"""Stand-ins that are real: a clock turned by hand, a cache that forgets at once."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from renderctl.caches import Cache
from renderctl.core.clocks import Clock


class FakeClock(Clock):
    """A clock that a test turns. Whoever waits on it lets that time go by at once."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._passed

    def advance(self, *, seconds: float) -> None:
        """Let `seconds` go by."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._passed += seconds

    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        if event is not None and event.is_set():
            return True
        self.advance(seconds=max(seconds, 0.0))
        return event is not None and event.is_set()


class ForgetfulCache(Cache):
    """A cache that lost everything: what every reader must do without."""

    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        pass

    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        return None

    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {}

    def forget(self, key: str) -> None:
        pass

    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        pass

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        return b"", offset

    def check(self) -> str:
        return "forgets everything"

    def close(self) -> None:
        pass
