"""The queue for simulated workers: thousands wait for a ticket, and none of them keeps a thread."""

import asyncio
import threading
from collections.abc import Sequence

from sqlalchemy.util.concurrency import await_only

from renderctl.queues import Queue, Ticket
from renderctl.queues.rabbitmq import RabbitQueue
from renderctl.queues.rabbitmq.ticket_client import Destination, PendingGet


class AwaitableRabbitQueue(RabbitQueue):
    """The queue of a real worker, for threads and for coroutines."""

    async def await_put(self, ticket: Ticket, place: Destination) -> None:
        """`put` for a coroutine."""
        await asyncio.wrap_future(self._loop_thread.submit(lambda client: client.put(ticket, place)))

    async def await_get(self, pools: Sequence[str], timeout_s: float, waiting: set[PendingGet]) -> Ticket | None:
        """`get` for a coroutine. While it waits its line is among those `waiting`, whom somebody may call back."""
        loop_thread, line = self._loop_thread, PendingGet(pools, canceled=False)
        waiting.add(line)
        try:
            taken = asyncio.wrap_future(loop_thread.submit(lambda client: client.get(line)))
            done, _ = await asyncio.wait({taken}, timeout=timeout_s)
            if not done:
                loop_thread.call_soon(line.cancel)
            return await taken
        finally:
            waiting.discard(line)

    def call_back(self, waiting: set[PendingGet]) -> None:
        """Have those who wait come, without a ticket if there is none."""
        for line in list(waiting):
            self._loop_thread.call_soon(line.cancel)


class AwaitingQueue(Queue):
    """The queue for code that runs in a greenlet: see `AwaitingPort`."""

    def __init__(self, queue: AwaitableRabbitQueue) -> None:
        self._queue = queue
        self._waiting: set[PendingGet] = set()

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        await_only(self._queue.await_put(ticket, Destination(pool, priority, delay_s)))

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        return await_only(self._queue.await_get(pools, timeout_s, self._waiting))

    def check(self) -> str:
        return self._queue.check()

    def close(self) -> None:
        self._queue.close()

    def call_back(self) -> None:
        """Have all who wait come back: they are told to stop."""
        self._queue.call_back(self._waiting)
