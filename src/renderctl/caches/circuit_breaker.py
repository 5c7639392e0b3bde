"""A circuit breaker: a server that fails is not called for a while, so that it slows nobody down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from renderctl.core.clocks import Clock

#: Seconds without a call after a failure: at least, at most, and as a multiple of how long the failed call took.
_RESET_TIMEOUT_S, _RESET_TIMEOUT_LIMIT_S, _RESET_TIMEOUT_FACTOR = 3.0, 60.0, 10.0


class CircuitBreaker:
    """Closed until a call fails; then open for a while, then half-open: a single call closes or opens it again.

    Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._half_open_at = 0.0
        self.is_open = False  #: the last call has failed

    def allows(self) -> bool:
        """Return whether a call may be tried now."""
        with self._lock:
            now = self._clock.monotonic()
            if self.is_open and now < self._half_open_at:
                return False
            if self.is_open:  # half-open: this thread tries, the others wait for its result
                self._half_open_at = now + _RESET_TIMEOUT_S
            return True

    @contextmanager
    def guard(self, *failures: type[BaseException]) -> Iterator[None]:
        """Record the outcome of the call in the block; `failures` open the breaker and are raised again."""
        started = self._clock.monotonic()
        try:
            yield
        except failures:
            now = self._clock.monotonic()
            reset_timeout_s = min(
                max(_RESET_TIMEOUT_S, _RESET_TIMEOUT_FACTOR * (now - started)), _RESET_TIMEOUT_LIMIT_S
            )
            with self._lock:
                self.is_open, self._half_open_at = True, now + reset_timeout_s
            raise
        with self._lock:
            self.is_open = False
