"""Tolerating outages while waiting: a service may be out of reach for a while, as in a restart or a fail-over."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable

logger = logging.getLogger(__name__)

#: Seconds after which an outage is raised.
OUTAGE_S = 600.0


class OutageGrace:
    """Measures how long a service has been out of reach; logs the start and the end of an outage."""

    def __init__(self, clock: Clock, limit_s: float = OUTAGE_S) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._since: float | None = None

    @contextmanager
    def tolerate(self) -> Iterator[None]:
        """Suppress Unreachable in the block, unless the outage has lasted for the limit."""
        try:
            yield
        except Unreachable as error:
            now = self._clock.monotonic()
            if self._since is None:
                self._since = now
                logger.warning("%s Waiting until it is back.", error.message)
            if now - self._since >= self._limit_s:
                raise
        else:
            self.recovered()

    def recovered(self) -> None:
        """Record a success: the outage is over."""
        if self._since is not None:
            logger.warning("It is back after %.0f s.", self._clock.monotonic() - self._since)
        self._since = None
