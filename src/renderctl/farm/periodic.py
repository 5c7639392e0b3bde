"""One thing, done again and again in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from renderctl.core.clocks import Clock

logger = logging.getLogger(__name__)

#: Seconds that a thread has to end what it is at; what hangs for longer ends with the process.
_END_S = 10.0


class Stoppable(Protocol):
    """What goes on until it is stopped, which may take a while."""

    def stop(self) -> None: ...


def stop_all(*parts: Stoppable) -> None:
    """Stop them all at once, so that they take as long as the slowest: what is out of reach may hold up each."""
    with ThreadPoolExecutor(len(parts), "stopping") as pool:
        for stopped in [pool.submit(part.stop) for part in parts]:
            stopped.result()


class PeriodicThread:
    """Does `deed` every `every_s` seconds until it is stopped, or until it raises what it should not.

    The first time after `first_s` seconds.
    """

    def __init__(
        self, clock: Clock, name: str, every_s: float, deed: Callable[[], None], *, first_s: float = 0.0
    ) -> None:
        self._clock = clock
        self._every_s = every_s
        self._first_s = first_s
        self._deed = deed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.error: BaseException | None = None  #: what it has died of

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_END_S)

    def _run(self) -> None:
        try:
            due = self._clock.monotonic() + self._first_s
            while not self._clock.wait(self._stop, due - self._clock.monotonic()):
                due = self._clock.monotonic() + self._every_s
                self._deed()
        except BaseException as error:  # raised again in the thread that looks after the worker
            logger.exception("%s has stopped", self._thread.name)
            self.error = error
