"""The thread that owns the connections: slots send it, and may render for hours while it answers heartbeats."""

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
    """Runs errands for any thread. Its own thread begins with the first one."""

    def __init__(self, address: BrokerUrl) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._closed = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._errands: TicketClient
        self._stop: asyncio.Event

    def send(self, errand: Callable[[TicketClient], Coroutine[Any, Any, _T]]) -> "Future[_T]":
        """What becomes of the errand: a result, or QueueUnavailable."""
        with self._lock:
            if self._closed:
                raise self._is_closed()
            self._start()
            return asyncio.run_coroutine_threadsafe(self._run(errand), self._loop)

    def call(self, word: Callable[[], object]) -> None:
        """Say something to one who is on an errand."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(word)

    def close(self) -> None:
        """End every errand, say goodbye to the broker, and end the thread."""
        with self._lock:
            begun, self._closed = self._thread is not None and not self._closed, True
            if begun:
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="rabbitmq", daemon=True)
            self._thread.start()
            self._ready.wait()

    async def _work(self) -> None:
        self._loop, self._stop, self._errands = asyncio.get_running_loop(), asyncio.Event(), TicketClient(self._address)
        self._ready.set()
        await self._stop.wait()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._errands.close()

    async def _run(self, errand: Callable[[TicketClient], Coroutine[Any, Any, _T]]) -> _T:
        task = asyncio.current_task()
        assert task is not None  # a coroutine of this loop
        self._under_way.add(task)
        try:
            return await errand(self._errands)
        except asyncio.CancelledError:
            raise self._is_closed() from None
        finally:
            self._under_way.discard(task)

    def _is_closed(self) -> QueueUnavailable:
        return QueueUnavailable(f"The queue at {self._address} was closed.")
