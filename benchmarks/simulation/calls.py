"""The calls that simulated workers make: in a few threads, while other coroutines go on, and timed."""

import asyncio
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.util.concurrency import await_only

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import DatabaseUnavailable, RenderctlError

logger = logging.getLogger(__name__)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: Seconds until a call is repeated that the database did not answer, at first and at last: as a real worker does.
_RETRY_FIRST_S, _RETRY_LAST_S = 0.2, 10.0


@dataclass
class CallTimes:
    """How long calls took, in seconds, by the name of the call; and the errors that some have ended with."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: list[float] = field(default_factory=list)  #: for a thread: long ones say that the simulation is too slow
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "CallTimes") -> None:
        for name, seconds in other.seconds.items():
            self.seconds[name].extend(seconds)
        self.waits.extend(other.waits)
        self.errors.update(other.errors)


class Calls:
    """Runs calls in threads. As each of them has a connection to the database, few make a small pool."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "call")
        self._times = CallTimes()

    async def run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **more: Parameters.kwargs,
    ) -> Result:
        """What the call returns. Raises what it raises."""
        call = partial(self._timed, time.perf_counter(), _name(function), partial(function, *arguments, **more))
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def insist(
        self, function: Callable[Parameters, Result], /, *arguments: Parameters.args, **more: Parameters.kwargs
    ) -> Result:
        """`run`, again and again while the database is away."""
        delay_s = _RETRY_FIRST_S
        while True:
            try:
                return await self.run(function, *arguments, **more)
            except DatabaseUnavailable as error:
                logger.info("%s", error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RETRY_LAST_S)

    def take_times(self) -> CallTimes:
        """The times since they were last taken."""
        times, self._times = self._times, CallTimes()
        return times

    def _timed(self, asked_at: float, name: str, call: Callable[[], Result]) -> Result:
        began = time.perf_counter()
        self._times.waits.append(began - asked_at)
        try:
            return call()
        except RenderctlError as error:
            self._times.errors[f"{name}: {type(error).__name__}"] += 1
            raise
        finally:
            self._times.seconds[name].append(time.perf_counter() - began)


class AwaitingPort:
    """A port for code that knows nothing of coroutines and runs in a greenlet: whoever calls it lets others go on."""

    def __init__(self, port: Any, calls: Calls) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):  # a part of the repository
            return AwaitingPort(method, self._calls)
        return lambda *arguments, **more: await_only(self._calls.run(method, *arguments, **more))


class AwaitingClock(SystemClock):
    """The clock for such code: who waits lets others go on, and looks at the event when the time is up."""

    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        await_only(asyncio.sleep(max(seconds, 0.0)))
        return event is not None and event.is_set()


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", "call"))
