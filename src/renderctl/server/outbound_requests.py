"""Requests to webhook receivers: in threads of their own, and only a few per user.

A receiver that responds slowly, or whose name takes long to resolve, delays the user who named it, and nobody else.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from renderctl.core.errors import Busy, TooManyRequests

Result = TypeVar("Result")
#: Threads for all users together.
_THREADS = 8


class OutboundRequests:
    """Counts requests under way. Not thread-safe: for the event loop alone."""

    def __init__(self, per_user: int | None) -> None:
        self._per_user = per_user if per_user is not None else _THREADS
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._of_user: Counter[str] = Counter()

    async def run(self, user: str, call: Callable[[], Result]) -> Result:
        """Run the call in a thread. Raises TooManyRequests at the limit of the user, and Busy at that of the server.

        Nothing is queued: others could fill the queue.
        """
        if self._of_user[user] >= self._per_user:
            hint = "Try again when those have ended (quota.user_pings)."
            raise TooManyRequests(f"{self._per_user} requests to receivers are under way for you already.", hint=hint)
        if self._of_user.total() >= _THREADS:
            raise Busy("All requests to receivers are under way for others.", hint="Try again soon.")
        self._of_user[user] += 1
        try:
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
        finally:
            self._of_user[user] -= 1
            self._of_user += Counter()  # drop users with none
