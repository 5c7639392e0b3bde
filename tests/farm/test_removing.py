"""Ended jobs are removed: out of sight at once, gone soon, and nobody is in the way of anybody."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, func, select

from renderctl.core.attempts import Cost
from renderctl.core.errors import AttemptSuperseded, Conflict, IllegalTransition, NotFound
from renderctl.core.jobs import Failure, Fault, TaskCounts
from renderctl.core.settings import RetentionSettings
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.control import cancel, retry
from renderctl.farm.jobs.remove import remove_jobs, select_jobs
from renderctl.repository.database.unit_of_work import db_now
from renderctl.repository.schema.audit import audits
from renderctl.repository.schema.jobs import (
    attempts,
    job_inputs,
    jobs,
    leases,
    outputs,
    tasks,
    workers,
)
from tests.databases import farm_on
from tests.farms import ACTOR, close, given_job, given_model, given_worker, wait_for, work_off, work_until


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path)
    yield made
    close(made)


def rows(farm: Farm, *tables: Table) -> list[int]:
    def reading(connection: Connection) -> list[int]:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    return farm.repository.database.read(reading)


def age(farm: Farm, days: float) -> None:
    def writing(connection) -> None:  # type: ignore[no-untyped-def]
        then = db_now(connection) - timedelta(days=days)
        connection.execute(jobs.update().where(jobs.c.finished_at.is_not(None)).values(finished_at=then))
        connection.execute(audits.update().values(at=then))

    farm.repository.database.write(writing)


def again(farm: Farm) -> None:
    """A sweep that gives up who is silent, and an hour after the last look at what is kept too long."""
    farm.repository.database.write(
        lambda connection: connection.execute(leases.delete().where(leases.c.name == "retention"))
    )
    farm.repository.recovery.expire_silent()
    sweep(farm, "sweeper")


def sweep_until(farm: Farm, fact: Callable[[], bool]) -> None:
    """A sweep deletes rows for half a second at most: on a busy machine the next one goes on."""

    def swept() -> bool:
        again(farm)
        return fact()

    wait_for(farm, swept)


@pytest.mark.slow
def test_a_removed_job_leaves_nothing_but_a_line_in_the_audit_log(farm: Farm) -> None:
    job, other = given_job(farm, "1-3"), given_job(farm, "1")
    work_until(farm, job, other)
    (removed,) = remove_jobs(farm, ACTOR, [job.id])
    assert (removed.tasks, removed.outputs) == (3, 3)
    assert rows(farm, jobs, tasks, attempts, outputs, job_inputs) == [1, 1, 1, 1, 0]
    with pytest.raises(NotFound):
        farm.repository.jobs.find(job.id)
    assert farm.repository.audit.newest(subject=job.id)[0].action == "job.remove"
    assert farm.repository.jobs.get(other.id).state is JobState.SUCCEEDED


def test_a_dry_run_removes_nothing(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_off(farm)
    (told,) = remove_jobs(farm, ACTOR, [job.id], dry_run=True)
    assert remove_jobs(farm, ACTOR, [job.id]) == [told]


def test_an_open_job_is_removed_by_force_alone(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    with pytest.raises(IllegalTransition, match="queued"):
        remove_jobs(farm, ACTOR, [job.id])
    remove_jobs(farm, ACTOR, [job.id], force=True)
    assert rows(farm, jobs, tasks) == [0, 0]


def test_a_job_is_not_removed_while_a_frame_of_it_is_rendered(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    attempt = farm.repository.attempts.claim(job.id, slot).attempts[0]
    cancel(farm, ACTOR, job.id)
    with pytest.raises(IllegalTransition, match="w1"):
        remove_jobs(farm, ACTOR, [job.id])
    farm.repository.attempts.cancel(attempt)
    assert remove_jobs(farm, ACTOR, [job.id])


def test_what_a_zombie_says_of_a_removed_job_is_not_heard(farm: Farm) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    attempt = farm.repository.attempts.claim(job.id, slot).attempts[0]
    cancel(farm, ACTOR, job.id)
    farm.repository.attempts.cancel(attempt)
    remove_jobs(farm, ACTOR, [job.id])
    assert farm.repository.attempts.start(attempt) is False
    assert farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "late"), Cost()) is None
    farm.repository.attempts.cancel(attempt)
    farm.repository.attempts.release([attempt])
    with pytest.raises(AttemptSuperseded):
        farm.repository.attempts.complete(attempt, [], Cost())
    assert rows(farm, jobs, tasks, attempts, outputs) == [0, 0, 0, 0]


def test_a_job_that_another_one_waits_for_in_vain_is_kept_until_that_is_canceled(farm: Farm) -> None:
    first = given_job(farm, "1")
    second = given_job(farm, "1", after=(first.id,))
    cancel(farm, ACTOR, first.id)
    with pytest.raises(Conflict, match=second.id):
        remove_jobs(farm, ACTOR, [first.id])
    cancel(farm, ACTOR, second.id)
    remove_jobs(farm, ACTOR, [first.id])
    again, count = retry(farm, ACTOR, second.id)
    assert (count, farm.repository.tasks.counts(second.id)) == (1, TaskCounts(queued=1))
    assert first.id in again.notes[0]


def test_both_of_two_that_wait_for_each_other_may_be_removed_at_once(farm: Farm) -> None:
    first = given_job(farm, "1")
    second = given_job(farm, "1", after=(first.id,))
    assert len(remove_jobs(farm, ACTOR, [first.id, second.id], force=True)) == 2
    assert rows(farm, jobs) == [0]


@pytest.mark.slow
def test_a_job_that_waited_for_one_that_succeeded_goes_on(farm: Farm) -> None:
    first = given_job(farm, "1")
    work_until(farm, first)
    second = given_job(farm, "1", after=(first.id,))
    remove_jobs(farm, ACTOR, [first.id])
    work_until(farm, second)
    assert farm.repository.jobs.get(second.id).state is JobState.SUCCEEDED


def test_a_removed_job_can_not_be_tried_again_while_its_rows_are_deleted(farm: Farm) -> None:
    job = given_job(farm, "1-3", idempotency_key="once")
    cancel(farm, ACTOR, job.id)
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    with pytest.raises(NotFound):
        retry(farm, ACTOR, job.id)
    with pytest.raises(NotFound):
        farm.repository.jobs.retry(job.id, actor=ACTOR)
    fresh = given_job(farm, "1-3", model=given_model(farm, "shot"), idempotency_key="once")
    assert fresh.id != job.id
    assert [each.job.id for each in farm.repository.summaries.newest()] == [fresh.id]


def test_a_sweep_finishes_what_a_killed_removal_has_begun(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    cancel(farm, ACTOR, job.id)
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    sweep_until(farm, lambda: rows(farm, jobs, tasks) == [0, 0])


def test_jobs_are_selected_by_their_age_and_state(farm: Farm) -> None:
    done, canceled = given_job(farm, "1"), given_job(farm, "2")
    cancel(farm, ACTOR, canceled.id)
    work_until(farm, done)
    month = timedelta(days=30)
    assert select_jobs(farm, ACTOR, older_than=month) == []
    age(farm, 31)
    given_job(farm, "3")
    assert select_jobs(farm, ACTOR, older_than=month) == [done.id, canceled.id]
    assert select_jobs(farm, ACTOR, older_than=month, states=["canceled"]) == [canceled.id]


@pytest.mark.slow
def test_the_sweep_removes_what_the_settings_keep_no_longer_once_an_hour(farm: Farm) -> None:
    kept = replace(farm.settings, retention=RetentionSettings(succeeded_days=7, audit_days=365))
    short = replace(farm, settings=kept)
    done, canceled = given_job(farm, "1"), given_job(farm, "2")
    cancel(farm, ACTOR, canceled.id)
    work_until(farm, done)
    age(farm, 8)
    sweep(farm, "sweeper")
    assert rows(farm, jobs) == [2], "by default jobs are kept for ever"
    again(short)
    assert [each.job.id for each in farm.repository.summaries.newest()] == [canceled.id]
    assert farm.repository.audit.newest(subject=done.id)[0].actor == "retention"
    late = given_job(farm, "3")
    work_until(farm, late)
    age(farm, 400)
    sweep(short, "sweeper")
    assert rows(farm, jobs) == [2], "within the hour nobody looks again"
    sweep_until(short, lambda: rows(farm, jobs) == [1])
    assert {each.action for each in farm.repository.audit.newest()} == {"job.remove", "audit.forget"}


def unseen(farm: Farm, days: float, *names: str) -> None:
    def writing(connection) -> None:  # type: ignore[no-untyped-def]
        then = db_now(connection) - timedelta(days=days)
        connection.execute(workers.update().where(workers.c.id.in_(names)).values(seen_at=then))

    farm.repository.database.write(writing)


def listed(farm: Farm) -> list[str]:
    return [each.id for each in farm.repository.workers.all(include_gone=True)]


@pytest.mark.slow
def test_a_worker_that_nobody_has_seen_for_a_month_is_forgotten_and_what_it_did_is_not(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_off(farm, name="gone")
    given_worker(farm, "lost")
    given_worker(farm, "here")
    sweep(farm, "sweeper")
    assert listed(farm) == ["gone", "here", "lost"]
    unseen(farm, 29, "gone", "lost")
    again(farm)
    assert listed(farm) == ["gone", "here", "lost"]
    unseen(farm, 31, "gone", "lost")
    again(farm)
    assert listed(farm) == ["here"]
    assert [each.worker_id for each in farm.repository.attempts.of_job(job.id)] == ["gone"]
    given_worker(farm, "gone", start="2")
    assert listed(farm) == ["gone", "here"]


def test_a_worker_that_is_held_or_holds_something_is_not_forgotten(farm: Farm) -> None:
    job = given_job(farm, "1")
    drained, busy = given_worker(farm, "drained"), given_worker(farm, "busy")
    farm.repository.workers.drain("drained", actor=ACTOR)
    farm.repository.workers.deregister(drained.worker_id, drained.incarnation, actor=ACTOR)
    farm.repository.attempts.claim(job.id, busy)
    unseen(farm, 400, "drained", "busy")
    again(farm)
    assert farm.repository.workers.delete_unseen(0) == 0
    assert listed(farm) == ["busy", "drained"]
    farm.repository.workers.drain("drained", actor=ACTOR, resume=True)
    assert farm.repository.workers.delete_unseen(30) == 1


def test_workers_are_kept_for_ever_on_request(farm: Farm) -> None:
    given_worker(farm, "old")
    unseen(farm, 400, "old")
    again(replace(farm, settings=replace(farm.settings, retention=RetentionSettings(worker_days=None))))
    assert listed(farm) == ["old"]
