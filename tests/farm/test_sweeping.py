"""The sweep goes on whatever a step of it meets, and whatever the clock does."""

import logging
from collections.abc import Iterator

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Failure, Fault, TaskCounts
from renderctl.core.states import JobState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.control import priority
from tests.fakes import FakeClock
from tests.farms import ACTOR, at_work, given_job, given_model, given_worker, make_farm, wait_for

HOURS = 3600.0


#: A foreign key that nobody knows of would refuse it so.
REFUSED = {
    "sqlite": "BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "mysql": "FOR EACH ROW SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1451, MESSAGE_TEXT = 'refused'",
}


@pytest.fixture
def undeletable(farm: Farm) -> Iterator[None]:
    """A database that deletes no job."""
    engine = farm.repository.database.engine
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TRIGGER refuse BEFORE DELETE ON job {REFUSED[engine.dialect.name]}")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse")


@pytest.mark.slow
@pytest.mark.usefixtures("undeletable")
def test_a_step_that_nobody_has_foreseen_ends_neither_the_sweep_nor_the_worker(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    removed = given_job(farm, "1")
    farm.repository.jobs.cancel(removed.id, actor=ACTOR)
    farm.repository.jobs.remove(removed.id, actor=ACTOR)
    with caplog.at_level(logging.ERROR), at_work(farm):
        wait_for(farm, lambda: "could not apply retention" in caplog.text)
        job = given_job(farm, "1-3")
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)


def test_a_clock_that_was_hours_ahead_holds_nothing_up_once_it_is_right(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock = FakeClock()
    farm = make_farm(tmp_path_factory.mktemp("farm"), clock=clock)
    limit_s = farm.settings.worker.heartbeat_limit
    clock.advance(seconds=6 * HOURS)
    slot, job = given_worker(farm, "w1"), given_job(farm, "1-2")
    failed, lost = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    farm.repository.attempts.start(failed)
    farm.repository.attempts.fail(failed, Failure(Fault.MACHINE, "GPU lost"), Cost())
    assert sweep(farm, "w1").held
    clock.advance(seconds=-6 * HOURS)
    other = given_worker(farm, "w2")
    lost_attempts = 0
    for _ in range(4):
        farm.repository.workers.heartbeat(Heartbeat("w2", "1", {}))
        lost_attempts += sweep(farm, "w2").requeued
        clock.advance(seconds=limit_s / 2)
    assert lost_attempts == 1
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=2)
    assert {attempt.number for attempt in farm.repository.attempts.claim(job.id, other, limit=2).attempts} == {
        failed.number,
        lost.number,
    }


def test_a_job_that_becomes_more_urgent_gets_a_turn_at_once(farm: Farm) -> None:
    model = given_model(farm)
    first, last = [given_job(farm, "1", model=model) for _ in range(3)][::2]
    ticket = farm.queue.get(("default",), 0.0)
    assert ticket is not None
    assert ticket.job_id == first.id
    priority(farm, ACTOR, last.id, 9)
    urgent = farm.queue.get(("default",), 0.0)
    assert urgent is not None
    assert urgent.job_id == last.id
