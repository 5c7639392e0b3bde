"""Idle slots of a worker share what they ask the database, and thousands of workers share its time."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from renderctl.core.attempts import Claim, Claimant, Cost
from renderctl.core.errors import QueueUnavailable
from renderctl.core.jobs import Attempt, Failure, Fault
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.worker.job_poll import JobPoll
from renderctl.farm.worker.work_source import QueueSource
from tests.fakes import FakeClock
from tests.farms import at_work, given_job, given_model, given_worker, wait_for

_AWAY = QueueUnavailable("away")


def poll_when_due(farm: Farm, poll: JobPoll, slot: Claimant) -> Claim:
    farm.clock.wait(None, poll.seconds_to_next())
    return poll.poll(slot)[1]


def transactions(farm: Farm, moments: list[float]) -> None:
    """Note when a slot asks the database something."""

    def begun(_connection: Any) -> None:
        if threading.current_thread().name.startswith("slot-"):
            moments.append(farm.clock.monotonic())

    event.listen(farm.repository.database.engine, "begin", begun)


def test_of_eight_idle_slots_one_asks_for_all(quiet: Farm) -> None:
    slots = [replace(given_worker(quiet), slot=number) for number in range(8)]
    poll, asked = JobPoll(quiet), list[object]()
    event.listen(quiet.repository.database.engine, "begin", asked.append)
    quiet.clock.wait(None, 1.0)
    for slot in slots:
        assert poll.poll(slot) == ("", Claim())
    assert len(asked) == 1


@pytest.mark.slow
def test_a_worker_of_eight_idle_slots_asks_as_often_as_one_of_one_slot(farm: Farm) -> None:
    moments: list[float] = []
    transactions(farm, moments)
    with at_work(farm, slots=8):
        wait_for(farm, lambda: len(moments) >= 2)
        wait_for(farm, lambda: len(moments) >= 3)
    assert moments[1] - moments[0] >= 0.7
    assert moments[2] - moments[1] >= 0.7


def test_whoever_finds_something_has_the_next_free_slot_ask_at_once(quiet: Farm) -> None:
    given_job(quiet, "1-9")
    poll, slot = JobPoll(quiet), given_worker(quiet)
    for number in range(3):
        assert poll_when_due(quiet, poll, replace(slot, slot=number)).attempts
        assert poll.seconds_to_next() == 0


def test_a_worker_asks_ever_more_rarely_but_each_second_while_the_queue_is_away(quiet: Farm) -> None:
    poll, slot = JobPoll(quiet), given_worker(quiet)
    for _ in range(5):
        poll_when_due(quiet, poll, slot)
    assert 3.75 <= poll.seconds_to_next() <= 5.0
    poll.miss_queue(_AWAY)
    assert poll.seconds_to_next() <= 1.0
    for _ in range(5):
        poll_when_due(quiet, poll, slot)
        assert 0.75 <= poll.seconds_to_next() <= 1.0
    poll.reach_queue()
    for _ in range(5):
        poll_when_due(quiet, poll, slot)
    assert poll.seconds_to_next() >= 3.75


@pytest.mark.parametrize("away", [True, False])
def test_the_more_workers_are_idle_the_more_rarely_each_one_asks(quiet: Farm, away: bool) -> None:
    poll, slot = JobPoll(quiet, lambda: 2_000), given_worker(quiet)
    if away:
        poll.miss_queue(_AWAY)
    for _ in range(3):
        poll_when_due(quiet, poll, slot)
        assert 15.0 <= poll.seconds_to_next() <= 20.0


def test_a_slot_that_ends_its_turn_does_not_wait_for_long(quiet: Farm) -> None:
    poll, slot = JobPoll(quiet, lambda: 2_000), given_worker(quiet)
    poll_when_due(quiet, poll, slot)
    poll.slot_is_free()
    assert 0.0 < poll.seconds_to_next() <= 1.0
    poll.miss_queue(_AWAY)
    poll.slot_is_free()
    assert poll.seconds_to_next() == 0.0


def test_a_worker_that_leaves_when_it_is_idle_has_asked_before(quiet: Farm) -> None:
    job = given_job(quiet, "1")
    assert quiet.queue.get(["default"], 0.0) is not None  # its ticket is lost
    turns = QueueSource(quiet, given_worker(quiet), idle_exit_s=0.2)
    claims: list[Attempt] = []
    while not turns.exhausted():
        claims += turns.next(threading.Event()).attempts
    assert [attempt.job_id for attempt in claims] == [job.id]


def test_what_has_nothing_for_this_worker_is_passed_over_and_what_is_behind_it_is_reached(
    quiet: Farm, clock: FakeClock
) -> None:
    """Sixty jobs whose only frame failed here, which another worker could try; they come first in the line."""
    slot, model = given_worker(quiet), given_model(quiet)
    for _ in range(60):
        job = given_job(quiet, "1", model=model, priority=9)
        (attempt,) = quiet.repository.attempts.claim(job.id, slot).attempts
        quiet.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "no"), Cost())
    clock.advance(seconds=3.0)
    behind = given_job(quiet, "1", model=model, priority=1)
    poll = JobPoll(quiet)
    clock.advance(seconds=poll.seconds_to_next())
    slot = given_worker(quiet)
    given_worker(quiet, "another")
    assert not poll_when_due(quiet, poll, slot).attempts
    clock.advance(seconds=poll.seconds_to_next())
    for name in ("w1", "another"):
        given_worker(quiet, name)
    assert [attempt.job_id for attempt in poll_when_due(quiet, poll, slot).attempts] == [behind.id]
    clock.advance(seconds=30.0)
    given_worker(quiet)  # and the other one is lost
    assert poll_when_due(quiet, poll, slot).attempts


def test_a_heartbeat_says_whether_a_slot_is_idle_and_hears_how_many_workers_are(quiet: Farm) -> None:
    for name in ("w1", "w2", "w3"):
        given_worker(quiet, name)
    assert quiet.repository.workers.heartbeat(Heartbeat("w1", "1", idle=True, count_idle=True)).idle_workers == 1
    assert quiet.repository.workers.heartbeat(Heartbeat("w2", "1", idle=True)).idle_workers is None
    assert quiet.repository.workers.heartbeat(Heartbeat("w3", "1", count_idle=True)).idle_workers == 2
    quiet.repository.workers.heartbeat(Heartbeat("w1", "1", problem="no room", idle=True))
    assert quiet.repository.workers.heartbeat(Heartbeat("w3", "1", count_idle=True)).idle_workers == 1


def test_an_idle_worker_hears_how_many_there_are(farm: Farm) -> None:
    given_worker(farm, "other")
    farm.repository.workers.heartbeat(Heartbeat("other", "1", idle=True))
    with at_work(farm) as worker:
        wait_for(farm, lambda: worker.idle_workers == 2)
