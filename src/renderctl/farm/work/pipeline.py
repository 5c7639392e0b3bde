"""While Blender renders a frame, the one before it is published: one thread, one frame deep."""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Pipeline(Generic[Item]):
    """Hands items to a thread, in order; `put` waits while the last one is still in work."""

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._items: queue.Queue[Item | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Raises what the work on an earlier item has raised."""
        self._items.put(item)
        self._raise()

    def close(self) -> None:
        """Wait until everything is done. Raises what the work has raised."""
        self._items.put(None)
        self._thread.join()
        self._raise()

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as error:  # raised again in the thread that hands over the items
                    self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
