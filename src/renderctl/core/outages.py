"""Who only waits bears with what is out of reach for a while: a restart, an upgrade, a fail-over."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable

logger = logging.getLogger(__name__)

#: Seconds after which something is not thought to come back by itself.
OUTAGE_S = 600.0


class OutageGrace:
    """Counts for how long something has been out of reach, and tells of it when that begins and ends."""

    def __init__(self, clock: Clock, limit_s: float = OUTAGE_S) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._since: float | None = None

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """For one try: that something is out of reach is raised only once it has been so for the limit."""
        try:
            yield
        except Unreachable as error:
            now = self._clock.monotonic()
            if self._since is None:
                self._since = now
                logger.warning("%s We wait until it is back.", error.message)
            if now - self._since >= self._limit_s:
                raise
        else:
            self.reached()

    def reached(self) -> None:
        """It has answered."""
        if self._since is not None:
            logger.warning("It is back after %.0f s.", self._clock.monotonic() - self._since)
        self._since = None
