"""The queue of a farm of many machines: RabbitMQ, with one thread of each process that talks to it."""

import os
import threading
from collections.abc import Sequence

from renderctl.clocks import Clock
from renderctl.queues import Queue, Ticket
from renderctl.queues.rabbitmq.address import read_address
from renderctl.queues.rabbitmq.courier import Courier
from renderctl.queues.rabbitmq.errands import Line, Place


class RabbitQueue(Queue):
    """A durable queue for each pool. One who waits is sent a ticket the moment that it is put.

    A slot holds no ticket but the one that `get` returns, so none waits for a slot that is at work. A ticket that
    nobody took for an hour is dropped, since the sweep has put it again by then.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        """Connects when it is first used. Raises QueueUnavailable for a URL that makes no sense."""
        self._address = read_address(url)
        self._clock = clock
        self._couriers: dict[int, Courier] = {}  # by process: a fork has neither our thread nor our connections

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        place = Place(pool, priority, delay_s)
        self._courier.send(lambda errands: errands.put(ticket, place)).result()

    def get(self, pools: Sequence[str], timeout_s: float) -> Ticket | None:
        courier, back = self._courier, threading.Event()
        line = Line(pools, called_back=timeout_s <= 0)
        taken = courier.send(lambda errands: errands.take(line))
        taken.add_done_callback(lambda _taken: back.set())
        if timeout_s > 0 and not self._clock.wait(back, timeout_s):
            courier.call(line.call_back)
        return taken.result()

    def check(self) -> str:
        return self._courier.send(lambda errands: errands.check()).result()

    def close(self) -> None:
        courier = self._couriers.pop(os.getpid(), None)
        if courier is not None:
            courier.close()

    @property
    def _courier(self) -> Courier:
        pid = os.getpid()
        return self._couriers.get(pid) or self._couriers.setdefault(pid, Courier(self._address))
