"""What is asked again and again looks at what may have changed, and at nothing twice."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError

from renderctl.core.attempts import Cost
from renderctl.core.errors import DatabaseUnavailable
from renderctl.core.jobs import Failure, Fault, Job
from renderctl.core.permissions import Subject
from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.change_feed import ChangeFeed
from renderctl.repository.schema.jobs import jobs
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job, given_model, given_worker


@pytest.fixture
def farm(tmp_path: Path, clock: FakeClock, database_url: str) -> Iterator[Farm]:
    farm = farm_on(database_url, tmp_path, clock)
    yield farm
    close(farm)


def settled(farm: Farm, job: Job) -> bool:
    query = select(jobs.c.stop_settled).where(jobs.c.id == job.id)
    return farm.repository.database.read(lambda connection: bool(connection.scalar(query)))


def stopped_by_a_process_that_dies(farm: Farm, job: Job) -> None:
    """Its state says so, and its tasks do not yet."""

    def stopping(connection: Connection) -> None:
        stop = {"state": JobState.CANCELED, "finished_at": farm.clock.now(), "stop_settled": False}
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(stop))

    farm.repository.database.write(stopping)


def test_a_stopped_job_is_looked_at_until_none_of_its_tasks_waits(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    stopped_by_a_process_that_dies(farm, job)
    assert farm.repository.recovery.finish_cancellations() == 5
    assert settled(farm, job)
    assert farm.repository.recovery.finish_cancellations() == 0


def test_a_job_that_is_retried_and_stopped_again_is_looked_at_again(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    farm.repository.recovery.finish_cancellations()
    assert settled(farm, job)
    farm.repository.jobs.retry(job.id, actor=ACTOR)
    assert not settled(farm, job)
    stopped_by_a_process_that_dies(farm, job)
    assert farm.repository.recovery.finish_cancellations() == 5
    assert settled(farm, job)


def test_what_runs_when_its_job_is_stopped_is_canceled_though_the_job_is_settled(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    attempt = farm.repository.attempts.claim(job.id, given_worker(farm)).attempts[0]
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    farm.repository.recovery.finish_cancellations()
    assert settled(farm, job)
    farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "it broke"), Cost())
    assert farm.repository.tasks.counts(job.id).canceled == 5


def test_the_delay_until_a_retry_is_known_while_every_task_has_one(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1-2")
    worker = given_worker(farm)
    for _ in range(2):
        attempt = farm.repository.attempts.claim(job.id, worker).attempts[0]
        assert farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "it broke"), Cost())
        clock.advance(seconds=0.5)
    wait_s = farm.repository.tasks.seconds_to_retry(job.id)
    assert wait_s is not None
    clock.advance(seconds=wait_s + 0.1)
    assert farm.repository.tasks.seconds_to_retry(job.id) is None


def test_the_newest_attempt_is_the_one_that_was_claimed_last(farm: Farm) -> None:
    job, worker = given_job(farm, "1-3"), given_worker(farm)
    assert farm.repository.change_feed.newest_attempt(job.id) is None
    first, second = (farm.repository.attempts.claim(job.id, worker).attempts[0] for _ in range(2))
    farm.repository.attempts.start(first)
    newest = farm.repository.change_feed.newest_attempt(job.id)
    assert newest is not None
    assert newest.id == max(first.id, second.id)
    running = farm.repository.change_feed.newest_attempt(job.id, [AttemptState.RUNNING])
    assert running is not None
    assert running.id == first.id


@pytest.mark.slow
def test_where_many_jobs_change_at_once_all_are_told_a_few_looks_later(farm: Farm) -> None:
    model = given_model(farm)
    changes = ChangeFeed(farm)
    changes.look()
    new = {given_job(farm, "1", model=model).id for _ in range(60)}
    looks = [[change.told["id"] for change in changes.look()] for _ in range(3)]
    assert max(map(len, looks)) < 60
    told = [job_id for look in looks for job_id in look]
    assert len(told) == len(new)
    assert set(told) == new
    assert changes.look() == []


def test_a_look_asks_as_little_of_many_jobs_as_of_few(farm: Farm) -> None:
    model, worker = given_model(farm), given_worker(farm)
    changes, asked = ChangeFeed(farm), list[str]()
    first = given_job(farm, "1-2", model=model)
    farm.repository.attempts.start(farm.repository.attempts.claim(first.id, worker).attempts[0])
    event.listen(
        farm.repository.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, text, *_: asked.append(text),
    )
    for count in (0, 40):  # whose signs make a text that MySQL would cut off, were it not told otherwise
        new = [given_job(farm, "1-2", model=model) for _ in range(count)]
        looks = [changes.look() for _ in range(4)]
        asked.clear()
        assert [change for change in changes.look() if change.kind != "job"] == []
        assert 3 <= sum(not text.startswith("SELECT UTC") and "PRAGMA" not in text for text in asked) <= 8 + 3
        told = {change.told["id"] for look in looks for change in look}
        assert told >= {job.id for job in new}


def test_whoever_a_job_belongs_to_its_changes_are_told(farm: Farm) -> None:
    changes = ChangeFeed(farm)
    changes.look()
    job = given_job(farm, "1-2")
    names = {"owner": 'a|b,c"d', "project": "one,two|three"}
    farm.repository.database.write(
        lambda connection: connection.execute(jobs.update().where(jobs.c.id == job.id).values(names))
    )
    [change] = changes.look()
    assert change.subject == Subject("job", job.id, names["owner"], frozenset([names["project"]]))
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert [change.told["state"] for change in changes.look()] == [JobState.CANCELED]
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    assert [change.kind for change in changes.look()] == ["removed"]
    assert changes.look() == []


def test_a_job_that_is_removed_while_somebody_looks_is_not_told(farm: Farm) -> None:
    changes, job = ChangeFeed(farm), given_job(farm, "1-2")
    rows = farm.repository.change_feed.snapshot(0).jobs
    assert list(rows) == [job.id]
    assert farm.repository.change_feed.job_subjects([job.id, "nosuchjob"]).keys() == {job.id}
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert farm.repository.change_feed.snapshot(0).jobs != rows
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    farm.repository.recovery.delete_removed_batch()
    assert farm.repository.change_feed.snapshot(0, [job.id]).jobs == {}
    assert changes.look() == []


def test_the_progress_of_every_running_job_is_told_in_its_turn(farm: Farm) -> None:
    model, worker = given_model(farm), given_worker(farm)
    running = [given_job(farm, "1-2", model=model) for _ in range(20)]
    for job in running:
        farm.repository.attempts.start(farm.repository.attempts.claim(job.id, worker).attempts[0])
    changes = ChangeFeed(farm)
    told = {change.told["id"] for _ in range(5) for change in changes.look() if change.kind == "job"}
    assert told == {job.id for job in running}
    farm.repository.jobs.cancel(running[0].id, actor=ACTOR)
    first = next(change for change in changes.look() if change.kind == "job")
    assert (first.told["id"], first.told["state"]) == (running[0].id, JobState.CANCELED)


def test_who_follows_one_job_is_not_told_of_the_frames_of_another(farm: Farm) -> None:
    model, worker = given_model(farm), given_worker(farm)
    one, other = given_job(farm, "1", model=model), given_job(farm, "1", model=model)
    for job in (one, other):
        farm.repository.attempts.start(farm.repository.attempts.claim(job.id, worker).attempts[0])
    told = ChangeFeed(farm).look([one.id])
    assert {change.subject.id for change in told} == {one.id}


def test_what_a_look_found_before_it_failed_is_told_by_the_next_one(farm: Farm) -> None:
    job = given_job(farm, "1-2")
    changes = ChangeFeed(farm)
    changes.look()
    farm.repository.attempts.start(farm.repository.attempts.claim(job.id, given_worker(farm)).attempts[0])

    def fail(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM job_count" in statement:  # which is asked last, for the documents of what has changed
            raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))

    event.listen(farm.repository.database.engine, "before_cursor_execute", fail)
    with pytest.raises(DatabaseUnavailable):
        changes.look()
    event.remove(farm.repository.database.engine, "before_cursor_execute", fail)
    assert [change.kind for change in changes.look()] == ["job", "task"]
