"""The queue of a farm of many machines: RabbitMQ, with one event loop thread in each process."""

import os
import threading
from collections.abc import Sequence

from renderctl.core.clocks import Clock
from renderctl.queues import Queue, Ticket
from renderctl.queues.rabbitmq.loop_thread import LoopThread
from renderctl.queues.rabbitmq.ticket_client import Destination, PendingGet
from renderctl.queues.rabbitmq.url import parse_url

#: Seconds between two checks of `stop` while waiting for a ticket.
_STOP_POLL_S = 0.2


class RabbitQueue(Queue):
    """A durable queue for each pool; the broker pushes a ticket to a waiting `get` as soon as it is put.

    A slot prefetches nothing beyond the ticket that `get` returns, so no ticket waits for a slot that is busy. The
    broker drops a ticket that was not taken for an hour: the sweep has put it again by then.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        """Connect on first use. Raises QueueUnavailable for a malformed URL."""
        self._url = parse_url(url)
        self._clock = clock
        self._loop_threads: dict[int, LoopThread] = {}  # by process id: a fork inherits no thread

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        """Publish the ticket; returns when the broker has confirmed it."""
        destination = Destination(pool, priority, delay_s)
        self._loop_thread.submit(lambda client: client.put(ticket, destination)).result()

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        """Consume one ticket from the queues of `pools`; it is acknowledged before it is returned."""
        loop_thread, done = self._loop_thread, threading.Event()
        pending = PendingGet(pools, canceled=timeout_s <= 0)
        result = loop_thread.submit(lambda client: client.get(pending))
        result.add_done_callback(lambda _future: done.set())
        if timeout_s > 0 and not self._wait(done, timeout_s, stop):
            loop_thread.call_soon(pending.cancel)
        return result.result()

    def check(self) -> str:
        """Return the broker's product, version and address, after a message was published and read back."""
        return self._loop_thread.submit(lambda client: client.check()).result()

    def close(self) -> None:
        """Close this process's connections and end its thread."""
        loop_thread = self._loop_threads.pop(os.getpid(), None)
        if loop_thread is not None:
            loop_thread.close()

    def _wait(self, done: threading.Event, timeout_s: float, stop: threading.Event | None) -> bool:
        """Return whether the operation finished before the timeout and before `stop` was set."""
        if stop is None:
            return self._clock.wait(done, timeout_s)
        deadline = self._clock.monotonic() + timeout_s
        while not stop.is_set() and (remaining_s := deadline - self._clock.monotonic()) > 0:
            if self._clock.wait(done, min(_STOP_POLL_S, remaining_s)):
                return True
        return done.is_set()

    @property
    def _loop_thread(self) -> LoopThread:
        pid = os.getpid()
        return self._loop_threads.get(pid) or self._loop_threads.setdefault(pid, LoopThread(self._url))
