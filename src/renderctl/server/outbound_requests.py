"""Requests that wait for servers of others: with threads of their own, and only a few for each user.

A receiver that answers slowly, or whose name takes long to look up, holds up whoever has named it, and nobody else.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from renderctl.core.errors import Busy, TooManyRequests

Result = TypeVar("Result")
#: Threads for it, whoever asks.
_THREADS = 8


class OutgoingCalls:
    """What is under way. For the event loop alone."""

    def __init__(self, per_user: int | None) -> None:
        self._per_user = per_user if per_user is not None else _THREADS
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._of_user: Counter[str] = Counter()

    async def run(self, user: str, call: Callable[[], Result]) -> Result:
        """What the call returns. Raises TooManyRequests while the user has as many under way as is allowed, and Busy.

        Whoever is refused comes again: nobody waits here in a line that others could fill.
        """
        if self._of_user[user] >= self._per_user:
            hint = "Wait until those have ended, then try again (quota.user_pings)."
            raise TooManyRequests(f"{self._per_user} receivers are being asked for you already.", hint=hint)
        if self._of_user.total() >= _THREADS:
            raise Busy("Receivers are being asked for others at the moment.", hint="Try again soon.")
        self._of_user[user] += 1
        try:
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
        finally:
            self._of_user[user] -= 1
            self._of_user += Counter()  # forget users with none
