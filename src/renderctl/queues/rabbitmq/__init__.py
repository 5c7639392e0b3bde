"""The queue of a farm of many machines: RabbitMQ, with one thread of each process that talks to it."""

import os
import threading
from collections.abc import Sequence

from renderctl.core.clocks import Clock
from renderctl.queues import Queue, Ticket
from renderctl.queues.rabbitmq.loop_thread import LoopThread
from renderctl.queues.rabbitmq.ticket_client import Destination, PendingGet
from renderctl.queues.rabbitmq.url import parse_url

#: Seconds between two looks of one who waits, whether it should stop.
_LOOK_S = 0.2


class RabbitQueue(Queue):
    """A durable queue for each pool. One who waits is sent a ticket the moment that it is put.

    A slot holds no ticket but the one that `get` returns, so none waits for a slot that is at work. A ticket that
    nobody took for an hour is dropped, since the sweep has put it again by then.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        """Connects when it is first used. Raises QueueUnavailable for a URL that makes no sense."""
        self._address = parse_url(url)
        self._clock = clock
        self._couriers: dict[int, LoopThread] = {}  # by process: a fork has neither our thread nor our connections

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        place = Destination(pool, priority, delay_s)
        self._courier.send(lambda errands: errands.put(ticket, place)).result()

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        courier, back = self._courier, threading.Event()
        line = PendingGet(pools, called_back=timeout_s <= 0)
        taken = courier.send(lambda errands: errands.take(line))
        taken.add_done_callback(lambda _taken: back.set())
        if timeout_s > 0 and not self._waited(back, timeout_s, stop):
            courier.call(line.call_back)
        return taken.result()

    def check(self) -> str:
        return self._courier.send(lambda errands: errands.check()).result()

    def close(self) -> None:
        courier = self._couriers.pop(os.getpid(), None)
        if courier is not None:
            courier.close()

    def _waited(self, back: threading.Event, timeout_s: float, stop: threading.Event | None) -> bool:
        """Whether the errand has ended before the time was up, or whoever waits was told to stop."""
        if stop is None:
            return self._clock.wait(back, timeout_s)
        give_up = self._clock.monotonic() + timeout_s
        while not stop.is_set() and (left := give_up - self._clock.monotonic()) > 0:
            if self._clock.wait(back, min(_LOOK_S, left)):
                return True
        return back.is_set()

    @property
    def _courier(self) -> LoopThread:
        pid = os.getpid()
        return self._couriers.get(pid) or self._couriers.setdefault(pid, LoopThread(self._address))
