"""Retries of a worker's writes while the database or the store is away: what was rendered is held until then."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from renderctl.blender.failures import SessionStopped
from renderctl.core.clocks import Clock
from renderctl.core.errors import DatabaseUnavailable, StoreUnavailable

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

#: Seconds that a store may be away before an attempt fails.
STORE_LIMIT_S = 300.0
#: Seconds until the second try, and between two tries at most.
_DATABASE_FIRST_S, _DATABASE_LAST_S = 0.2, 10.0
_STORE_FIRST_S, _STORE_LAST_S = 0.5, 30.0


class Retries:
    """Runs an action again, with exponential back-off, until the service that it needs is back."""

    def __init__(self, clock: Clock, halt: threading.Event) -> None:
        """`halt`: whether the worker ends at once."""
        self._clock = clock
        self._halt = halt

    def until_database_is_back(self, action: Callable[[], Result]) -> Result:
        """Run `action` until the database answers it. Raises DatabaseUnavailable once the worker halts."""
        delay_s = _DATABASE_FIRST_S
        while True:
            try:
                return action()
            except DatabaseUnavailable as error:
                logger.warning("%s; trying again in %.1f s", str(error).rstrip("."), delay_s)
                if self._clock.wait(self._halt, delay_s):
                    raise
                delay_s = min(delay_s * 2, _DATABASE_LAST_S)

    def until_store_is_back(
        self, action: Callable[[], Result], stop: threading.Event, limit_s: float = STORE_LIMIT_S
    ) -> Result:
        """Run `action` until the store answers it, for `limit_s` seconds at most.

        Raises StoreUnavailable after that, and SessionStopped soon after `stop` was set.
        """
        started, delay_s = self._clock.monotonic(), _STORE_FIRST_S
        while True:
            try:
                return action()
            except StoreUnavailable as error:
                if self._clock.monotonic() - started > limit_s:
                    raise
                logger.warning("%s; trying again in %.1f s", str(error).rstrip("."), delay_s)
                if self._clock.wait(stop, delay_s):
                    raise SessionStopped from error
                delay_s = min(delay_s * 2, _STORE_LAST_S)
