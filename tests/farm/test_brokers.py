"""Slots and the broker: they take turns from it while it is there, from the database while it is not, and come back."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import QueueUnavailable
from renderctl.core.jobs import Job
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.queues import Ticket
from renderctl.queues.rabbitmq import RabbitQueue
from tests.farms import at_work, given_job, given_model, given_worker, wait_for
from tests.services import RabbitMq, running
from tests.services.fixtures import require
from tests.services.server import free_port


@pytest.fixture
def served(farm: Farm, rabbitmq_url: str) -> Iterator[Farm]:
    """A farm with a broker."""
    queue = RabbitQueue(rabbitmq_url, SystemClock())
    yield replace(farm, queue=queue)
    queue.close()


@pytest.fixture
def deserted(farm: Farm) -> Iterator[Farm]:
    """A farm whose broker is not there."""
    queue = RabbitQueue(f"amqp://127.0.0.1:{free_port()}/", SystemClock())
    yield replace(farm, queue=queue)
    queue.close()


def succeeded(farm: Farm, job: Job) -> bool:
    return farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def turns(farm: Farm, job: Job) -> int:
    """How many tickets of the job were taken: each moves its serial on."""
    return farm.repository.jobs.get(job.id).serial - job.serial


def answers(queue: RabbitQueue) -> bool:
    with suppress(QueueUnavailable):
        return bool(queue.check())
    return False


def test_an_idle_slot_gets_its_turn_from_the_broker(served: Farm) -> None:
    with at_work(served):
        job = given_job(served, "1-5")
        wait_for(served, lambda: succeeded(served, job))
        assert turns(served, job) >= 1


@pytest.mark.slow
def test_without_a_broker_jobs_are_submitted_and_worked_off_and_the_worker_leaves(
    deserted: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        early = given_job(deserted, "1-3")
        with at_work(deserted):
            wait_for(deserted, lambda: succeeded(deserted, early))
            late = given_job(deserted, "1-3", model=given_model(deserted, "other"))
            wait_for(deserted, lambda: succeeded(deserted, late), within_s=5.0)
            began = deserted.clock.monotonic()
        assert deserted.clock.monotonic() - began < 5.0
    assert turns(deserted, early) == turns(deserted, late) == 0
    said = [record.getMessage() for record in caplog.records if "asked for work" in record.getMessage()]
    assert len(said) == 1
    assert "refuses the connection" in said[0]
    assert caplog.text.count("no ticket for job") == 2


def test_a_ticket_that_died_with_its_slot_is_missed_by_nobody_for_long(served: Farm) -> None:
    job = given_job(served, "1-5")
    assert served.queue.get(["default"], 5) == Ticket(job.id, job.serial)  # and this slot is killed before its claim
    with at_work(served):
        wait_for(served, lambda: succeeded(served, job))


def test_a_slot_that_dies_before_it_puts_the_ticket_back_does_not_stop_the_job(served: Farm) -> None:
    job = given_job(served, "1-5")
    ticket = served.queue.get(["default"], 5)
    assert ticket is not None
    claim = served.repository.attempts.claim(job.id, given_worker(served, "dead"), serial=ticket.serial)
    assert len(claim.attempts) == 1
    with at_work(served):
        wait_for(served, lambda: succeeded(served, job))


@pytest.mark.services
def test_slots_come_back_to_a_broker_that_comes_back(farm: Farm) -> None:
    require(RabbitMq)
    with running(RabbitMq) as broker:
        queue = RabbitQueue(broker.url, SystemClock())
        farm = replace(farm, queue=queue)
        with at_work(farm, slots=2):
            before = given_job(farm, "1-3")
            wait_for(farm, lambda: succeeded(farm, before))
            broker.stop()
            meanwhile = given_job(farm, "1-3")
            wait_for(farm, lambda: succeeded(farm, meanwhile))
            broker.start()
            wait_for(farm, lambda: answers(queue), within_s=30.0)
            served_again = [given_job(farm, "1-3") for _ in range(3)]
            wait_for(farm, lambda: all(succeeded(farm, job) for job in served_again))
            wait_for(farm, lambda: any(turns(farm, job) for job in served_again))
        queue.close()
    assert turns(farm, before) >= 1
    assert turns(farm, meanwhile) == 0
