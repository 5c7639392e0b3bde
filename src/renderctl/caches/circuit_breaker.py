"""A breaker: what does not answer is left alone for a while, so that it slows nobody down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from renderctl.core.clocks import Clock

#: Seconds without another try after a failure: at least, at most, and as a multiple of what the failure took.
_PAUSE_S, _PAUSE_LIMIT_S, _PAUSE_FACTOR = 3.0, 60.0, 10.0


class CircuitBreaker:
    """Lets tries through until one fails; then none for a while, and after it a single one, which decides anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self.broken = False  #: the last try has failed

    def lets_through(self) -> bool:
        """Whether to try now."""
        with self._lock:
            now = self._clock.monotonic()
            if self.broken and now < self._closed_until:
                return False
            if self.broken:  # one thread finds out; the others wait for what it finds
                self._closed_until = now + _PAUSE_S
            return True

    @contextmanager
    def watching(self, *failures: type[BaseException]) -> Iterator[None]:
        """Note how a try ends; a failure is raised on."""
        started = self._clock.monotonic()
        try:
            yield
        except failures:
            now = self._clock.monotonic()
            pause_s = min(max(_PAUSE_S, _PAUSE_FACTOR * (now - started)), _PAUSE_LIMIT_S)
            with self._lock:
                self.broken, self._closed_until = True, now + pause_s
            raise
        with self._lock:
            self.broken = False
