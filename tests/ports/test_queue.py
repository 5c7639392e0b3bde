"""The conformance suite of queues: each ticket goes to one taker, by priority, then first in, first out."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.clocks import SystemClock
from renderctl.queues import Queue, Ticket
from renderctl.queues.rabbitmq import RabbitQueue
from renderctl.queues.sqlite import SqliteQueue


@pytest.fixture(params=["sqlite", pytest.param("rabbitmq", marks=pytest.mark.services)])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    queue: Queue
    if request.param == "sqlite":
        queue = SqliteQueue(tmp_path / "queue.db", SystemClock())
    else:
        queue = RabbitQueue(request.getfixturevalue("rabbitmq_url"), SystemClock())
    yield queue
    queue.close()


def put(queue: Queue, *job_ids: str, pool: str = "default", priority: int = 5, delay_s: float = 0.0) -> None:
    for job_id in job_ids:
        queue.put(Ticket(job_id, 1), pool=pool, priority=priority, delay_s=delay_s)


def taken(queue: Queue, *pools: str) -> list[str]:
    """Take every ticket that is visible; return their jobs."""
    job_ids = []
    while (ticket := queue.get(pools or ("default",), 0)) is not None:
        job_ids.append(ticket.job_id)
    return job_ids


def test_a_ticket_is_taken_as_it_was_put_and_is_gone(queue: Queue) -> None:
    ticket = Ticket("01JOB", 7)
    queue.put(ticket, pool="default", priority=5)
    assert queue.get(["default"], 1) == ticket
    assert queue.get(["default"], 0) is None


def test_tickets_of_one_priority_come_in_the_order_they_were_put(queue: Queue) -> None:
    put(queue, "a", "b", "c")
    assert taken(queue) == ["a", "b", "c"]


def test_the_higher_priority_comes_first(queue: Queue) -> None:
    put(queue, "low", priority=0)
    put(queue, "normal", "normal too")
    put(queue, "high", priority=10)
    assert taken(queue) == ["high", "normal", "normal too", "low"]


def test_a_ticket_that_goes_back_stands_at_the_tail(queue: Queue) -> None:
    put(queue, "a", "b")
    ticket = queue.get(["default"], 1)
    assert ticket is not None
    queue.put(Ticket(ticket.job_id, ticket.serial + 1), pool="default", priority=5)
    assert taken(queue) == ["b", "a"]


def test_a_slot_takes_from_its_pools_and_no_other(queue: Queue) -> None:
    put(queue, "cpu")
    put(queue, "gpu", pool="gpu")
    put(queue, "sim", pool="sim", priority=9)
    assert taken(queue, "gpu") == ["gpu"]
    assert taken(queue, "default", "sim") == ["sim", "cpu"]


def test_a_pool_nobody_put_to_is_empty(queue: Queue) -> None:
    assert queue.get(["nobody's"], 0) is None


def test_an_odd_name_of_a_pool_is_a_name(queue: Queue) -> None:
    put(queue, "a", pool="it's; DROP TABLE tickets -- ☂ ")
    assert taken(queue, "it's; DROP TABLE tickets -- ☂ ") == ["a"]


def test_a_delayed_ticket_shows_when_its_time_has_come(queue: Queue) -> None:
    put(queue, "later", delay_s=0.4)
    put(queue, "now")
    assert taken(queue) == ["now"]
    before = time.monotonic()
    assert queue.get(["default"], 10) == Ticket("later", 1)
    assert 0.2 < time.monotonic() - before < 5


def test_a_delayed_ticket_does_not_hold_up_others(queue: Queue) -> None:
    put(queue, "later", priority=10, delay_s=60)
    put(queue, "now", priority=1)
    assert taken(queue) == ["now"]


def test_nothing_within_the_time_is_none(queue: Queue) -> None:
    before = time.monotonic()
    assert queue.get(["default"], 0.2) is None
    assert 0.15 < time.monotonic() - before < 5


def test_one_who_waits_gets_what_is_put_meanwhile(queue: Queue) -> None:
    received: list[Ticket | None] = []
    slot = threading.Thread(target=lambda: received.append(queue.get(["default"], 20)))
    slot.start()
    put(queue, "a")
    slot.join(10)
    assert received == [Ticket("a", 1)]


def test_one_who_waits_can_be_told_to_stop(queue: Queue) -> None:
    stop = threading.Event()
    slot = threading.Thread(target=lambda: queue.get(["default"], 60, stop))
    slot.start()
    stop.set()
    slot.join(10)
    assert not slot.is_alive()
    put(queue, "a")
    assert taken(queue) == ["a"]


def test_slots_that_share_a_queue_take_each_ticket_once(queue: Queue) -> None:
    jobs = [f"job-{number}" for number in range(300)]
    put(queue, *jobs)
    received: list[str] = []
    slots = [threading.Thread(target=lambda: received.extend(taken(queue))) for _ in range(8)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join(30)
    assert sorted(received) == sorted(jobs)


def test_check_says_what_and_where_it_is(queue: Queue) -> None:
    assert "queue" in queue.check()


def test_a_queue_may_be_closed_again(queue: Queue) -> None:
    put(queue, "a")
    queue.close()
    queue.close()
