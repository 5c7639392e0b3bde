"""The event loop thread that owns the connections and answers heartbeats while slots render for hours."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from renderctl.core.errors import QueueUnavailable
from renderctl.queues.rabbitmq.ticket_client import TicketClient
from renderctl.queues.rabbitmq.url import BrokerUrl

_T = TypeVar("_T")


class LoopThread:
    """Runs operations of a TicketClient for any thread. The thread starts with the first operation."""

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._client: TicketClient
        self._stop: asyncio.Event

    def submit(self, operation: Callable[[TicketClient], Coroutine[Any, Any, _T]]) -> "Future[_T]":
        """Run the operation in the loop; the future holds its result or QueueUnavailable."""
        with self._lock:
            if self._closed:
                raise self._closed_error()
            self._start()
            return asyncio.run_coroutine_threadsafe(self._run(operation), self._loop)

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run the callback in the loop, for example to cancel a pending get."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """Cancel every operation, close the connections and join the thread."""
        with self._lock:
            is_running, self._closed = self._thread is not None and not self._closed, True
            if is_running:
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="rabbitmq", daemon=True)
            self._thread.start()
            self._ready.wait()

    async def _main(self) -> None:
        self._loop, self._stop, self._client = asyncio.get_running_loop(), asyncio.Event(), TicketClient(self._url)
        self._ready.set()
        await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _run(self, operation: Callable[[TicketClient], Coroutine[Any, Any, _T]]) -> _T:
        task = asyncio.current_task()
        assert task is not None  # a coroutine of this loop
        self._tasks.add(task)
        try:
            return await operation(self._client)
        except asyncio.CancelledError:
            raise self._closed_error() from None
        finally:
            self._tasks.discard(task)

    def _closed_error(self) -> QueueUnavailable:
        return QueueUnavailable(f"The queue at {self._url} was closed.")
