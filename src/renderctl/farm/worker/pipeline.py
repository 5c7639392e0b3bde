"""While Blender renders a frame, those before it are published: one thread, which takes all that wait at once.

To publish several costs hardly more than to publish one, and takes the processor from Blender: so short frames gather.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from renderctl.core.clocks import Clock

Item = TypeVar("Item")

#: Seconds from one batch to the next, while there is room for what comes in between.
_GATHER_S = 0.25


class Pipeline(Generic[Item]):
    """Hands items to a thread, in order."""

    def __init__(self, work: Callable[[Sequence[Item]], None], clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self._waiting: list[Item] = []
        self._most = 1  # that may wait, as it was said with the last of them
        self._due = clock.monotonic()  # the next batch
        self._working = False
        self._urgent = 0  # who waits for all that was handed over
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def put(self, item: Item, most: int) -> None:
        """Wait until fewer than `most` items wait, then add this one. Raises what the work on earlier ones has."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < most)
            self._waiting.append(item)
            self._most = most
            self._changed.notify_all()
        self._raise()

    def flush(self) -> None:
        """Wait until all that was handed over is done, which gathers no more. Raises what the work has raised."""
        with self._changed:
            self._urgent += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._working)
            self._urgent -= 1
        self._raise()

    def close(self) -> None:
        """Wait until everything is done. Raises what the work has raised."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._raise()

    def _run(self) -> None:
        while items := self._take():
            if self._error is None:
                try:
                    self._work(items)
                except BaseException as error:  # raised again in the thread that hands over the items
                    self._error = error

    def _take(self) -> Sequence[Item]:
        """All that wait, once they are due or many; nothing when nothing will come any more."""
        with self._changed:
            self._working = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(self._is_full, self._due - self._clock.monotonic())
            self._due = self._clock.monotonic() + _GATHER_S
            items, self._waiting = self._waiting, []
            self._working = bool(items)
            self._changed.notify_all()
            return items

    def _is_full(self) -> bool:
        return self._closed or self._urgent > 0 or len(self._waiting) >= self._most

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
