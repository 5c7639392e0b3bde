"""A large job comes in batches, and nobody sees it before its last one, whoever dies or changes something meanwhile."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from renderctl.core.actors import Role, Via
from renderctl.core.attempts import Cost
from renderctl.core.errors import Conflict, NotFound, QuotaExceeded, SubmissionLost, TokenRefused
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Input, Job, NewJob, RenderOptions, TaskCounts
from renderctl.core.models import Model
from renderctl.core.quotas import Limits, Quotas
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.repository.database.batches import FIRST_ROWS, MOST_ROWS, BatchSize
from renderctl.repository.schema.jobs import job_dependencies, job_inputs, jobs, tasks
from tests.databases import farm_on
from tests.farms import ACTOR, close, given_job, given_model, given_worker, wait_for
from tests.ports.severing import wire_to
from tests.ports.test_repository_races import at_once

pytestmark = pytest.mark.slow

#: A batch, and less than one: four transactions in all, however slow the machine is.
LARGE = FIRST_ROWS + 500
TRANSACTIONS = 4


@pytest.fixture
def both(tmp_path: Path, database_url: str) -> Iterator[Farm]:
    farm = farm_on(database_url, tmp_path)
    yield farm
    close(farm)


def large(model: Model, **more: Any) -> NewJob:
    return NewJob("night", model.id, RenderOptions(), FrameSet.parse(f"1-{LARGE}"), **more)


def rows_of(farm: Farm, *tables: Any) -> list[int]:
    def reading(connection: Connection) -> list[int]:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]

    return farm.repository.database.read(reading)


def before_transaction(farm: Farm, number: int, deed: Callable[[], object]) -> None:
    """Have something done when the farm is about to begin its transaction of that number, counted from now."""
    begun = 0

    @event.listens_for(farm.repository.database.engine, "checkout")
    def _checkout(*_: object) -> None:
        nonlocal begun
        begun += 1
        if begun == number:
            deed()


def let_time_pass(farm: Farm) -> None:
    """As if the submitter had fallen silent long ago."""
    late = {"submitting_until": farm.clock.now() - timedelta(minutes=1)}
    silent = jobs.update().where(jobs.c.submitting_until.is_not(None)).values(late)
    farm.repository.database.write(lambda connection: connection.execute(silent))


def erase(farm: Farm) -> None:
    while farm.repository.recovery.delete_removed_batch():
        pass


def test_the_next_batch_is_larger_after_a_quick_one_and_smaller_after_a_slow_one() -> None:
    size = BatchSize()
    size.note(0.001)
    assert size.rows == 2 * FIRST_ROWS
    size.note(0.16)
    assert size.rows == FIRST_ROWS
    size.note(60.0)
    assert size.rows == FIRST_ROWS
    for _ in range(20):
        size.note(0.0)
    assert size.rows == MOST_ROWS


def test_no_transaction_of_a_large_job_is_longer_than_a_batch_and_a_small_job_is_one(both: Farm) -> None:
    model, sizes = given_model(both), list[int]()

    @event.listens_for(both.repository.database.engine, "commit")
    def _commit(connection: Connection) -> None:
        sizes.append(connection.scalar(select(func.count()).select_from(tasks)) or 0)

    both.repository.jobs.add(NewJob("night", model.id, RenderOptions(), FrameSet.parse(f"1-{FIRST_ROWS}")), actor=ACTOR)
    assert sizes[0] == FIRST_ROWS
    assert set(sizes) == {FIRST_ROWS}
    sizes.clear()
    job, new = both.repository.jobs.add(large(model), actor=ACTOR)
    added = [size - FIRST_ROWS for size in sizes]
    assert added[:TRANSACTIONS] == [0, FIRST_ROWS, LARGE, LARGE]
    assert (new, job.state, both.repository.tasks.counts(job.id)) == (True, JobState.QUEUED, TaskCounts(queued=LARGE))
    assert both.repository.jobs.get(job.id) == job


@pytest.mark.parametrize("frames", ["-2-4", f"{-LARGE // 6}-{LARGE // 3}"])
def test_the_tasks_are_the_frames_in_their_order_each_by_all_cameras(both: Farm, frames: str) -> None:
    cameras = (None, 'O\'Hara "left" \\ %s :x', "Kamera für 🎬")
    new = NewJob("night", given_model(both).id, RenderOptions(), FrameSet.parse(f"{frames},9000-9010x5"), cameras)
    job, _ = both.repository.jobs.add(new, actor=ACTOR)
    made = both.repository.tasks.of_job(job.id)
    first, last = (-2, 4) if frames == "-2-4" else (-LARGE // 6, LARGE // 3)
    expected = [(frame, camera) for frame in (*range(first, last + 1), 9000, 9005, 9010) for camera in cameras]
    assert [task.number for task in made] == list(range(1, len(expected) + 1))
    assert [(task.frame, task.camera) for task in made] == expected
    assert both.repository.tasks.counts(job.id) == TaskCounts(queued=len(expected))


def test_before_its_last_transaction_nobody_sees_a_large_job(both: Farm, tmp_path: Path) -> None:
    model, seen = given_model(both), list[object]()
    other = farm_on(both.settings.database_url, tmp_path)
    slot = given_worker(other)

    def look() -> None:
        hidden = other.repository.database.read(lambda connection: connection.execute(select(jobs)).one())
        for ref in (hidden.id, hidden.name):
            with pytest.raises(NotFound):
                other.repository.jobs.find(ref)
        sweep(other, "w1")
        seen.append(
            (
                other.repository.summaries.newest(),
                other.repository.jobs.open_ids(),
                other.repository.attempts.claimable_jobs(slot),
                other.repository.attempts.claim(hidden.id, slot).attempts,
                other.repository.jobs.older_than({state: 0 for state in JobState}),
                [entry.action for entry in other.repository.audit.newest() if entry.action.startswith("job.")],
            )
        )

    for number in range(2, TRANSACTIONS + 1):
        before_transaction(both, number, look)
    job, _ = both.repository.jobs.add(large(model), actor=ACTOR)
    assert seen == [([], [], [], (), [], [])] * (TRANSACTIONS - 1)
    assert both.repository.tasks.counts(job.id) == TaskCounts(queued=LARGE)
    close(other)


@pytest.mark.parametrize("transaction", range(1, TRANSACTIONS + 1))
def test_a_submission_killed_in_any_of_its_transactions_leaves_nothing(
    both: Farm, tmp_path: Path, transaction: int
) -> None:
    model = given_model(both)
    before = rows_of(both, jobs, tasks, job_inputs)
    new = large(model, idempotency_key="build-7", inputs=(Input("_inputs/1/b.obj", "b" * 64, 1),))
    if (child := os.fork()) == 0:
        own = farm_on(both.settings.database_url, tmp_path)
        commits = 0

        @event.listens_for(own.repository.database.engine, "commit")
        def _commit(_connection: Connection) -> None:
            nonlocal commits
            commits += 1
            if commits == transaction:
                os.kill(os.getpid(), signal.SIGKILL)

        own.repository.jobs.add(new, actor=ACTOR)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert both.repository.summaries.newest() == []
    erase(both)
    assert rows_of(both, jobs)[0] == min(transaction - 1, 1)  # it may be alive
    let_time_pass(both)
    wait_for(both, lambda: sweep(both, "w1").held and rows_of(both, jobs, tasks, job_inputs) == before, 120.0)
    job, fresh = both.repository.jobs.add(new, actor=ACTOR)
    assert (fresh, both.repository.tasks.counts(job.id)) == (True, TaskCounts(queued=LARGE))


def test_who_fell_silent_for_too_long_finds_their_submission_gone(both: Farm, tmp_path: Path) -> None:
    model = given_model(both)
    other = farm_on(both.settings.database_url, tmp_path)

    def fall_silent() -> None:
        let_time_pass(other)
        erase(other)

    for number in (3, TRANSACTIONS):
        before_transaction(both, number, fall_silent)
        with pytest.raises(SubmissionLost):
            both.repository.jobs.add(large(model), actor=ACTOR)
        assert rows_of(both, jobs, tasks) == [0, 0]
    close(other)


def test_a_clock_that_is_set_back_keeps_no_dead_submission(both: Farm, tmp_path: Path) -> None:
    model = given_model(both)
    other = farm_on(both.settings.database_url, tmp_path)

    def set_back() -> None:
        far = jobs.update().values(submitting_until=both.clock.now() + timedelta(hours=5))
        other.repository.database.write(lambda connection: connection.execute(far))
        erase(other)

    before_transaction(both, 3, set_back)
    with pytest.raises(SubmissionLost):
        both.repository.jobs.add(large(model), actor=ACTOR)
    close(other)


def test_what_a_large_job_waits_for_ends_while_it_comes(both: Farm, tmp_path: Path) -> None:
    model, slot = given_model(both), given_worker(both)
    other = farm_on(both.settings.database_url, tmp_path)

    def finish(job: Job) -> None:
        for attempt in other.repository.attempts.claim(job.id, slot).attempts:
            other.repository.attempts.complete(attempt, [], Cost())
        assert other.repository.jobs.finish_if_done(job.id) is JobState.SUCCEEDED

    for number in (2, 3, TRANSACTIONS):
        first = given_job(both, "1", model=model)
        before_transaction(both, number, partial(finish, first))
        job, _ = both.repository.jobs.add(large(model, after=(first.id,)), actor=ACTOR)
        assert both.repository.tasks.counts(job.id) == TaskCounts(queued=LARGE)
    waits = given_job(both, "1", model=model)
    job, _ = both.repository.jobs.add(large(model, after=(waits.id,)), actor=ACTOR)
    assert both.repository.tasks.counts(job.id) == TaskCounts(blocked=LARGE)
    finish(waits)
    assert both.repository.tasks.counts(job.id) == TaskCounts(queued=LARGE)
    close(other)


def test_what_a_large_job_waits_for_is_removed_while_it_comes(both: Farm, tmp_path: Path) -> None:
    model = given_model(both)
    other = farm_on(both.settings.database_url, tmp_path)
    for number in range(2, TRANSACTIONS + 1):
        first = given_job(both, "1", model=model)
        both.repository.jobs.cancel(first.id, actor=ACTOR)
        before_transaction(both, number, partial(other.repository.jobs.remove, first.id, actor=ACTOR))
        with pytest.raises(NotFound, match=first.id):
            both.repository.jobs.add(large(model, after=(first.id,)), actor=ACTOR)
        erase(both)
        assert rows_of(both, jobs, tasks, job_dependencies) == [0, 0, 0]
    close(other)


def test_the_model_and_the_files_of_a_large_job_stay_while_it_comes(both: Farm, tmp_path: Path) -> None:
    model, refusals = given_model(both), list[str]()
    other = farm_on(both.settings.database_url, tmp_path)
    file = Input("_inputs/1/b.obj", "b" * 64, 1)

    def remove() -> None:
        with pytest.raises(Conflict) as refused:
            other.repository.models.remove(model.id, actor=ACTOR)
        refusals.append(refused.value.message)
        assert other.repository.gc.collect([file.digest], lambda digests: list(digests).clear(), limit_s=60.0) == []

    for number in range(2, TRANSACTIONS + 1):
        before_transaction(both, number, remove)
    job, _ = both.repository.jobs.add(large(model, inputs=(file,)), actor=ACTOR)
    assert refusals == [f"Model {model.ref} is used by a job that is being submitted."] * (TRANSACTIONS - 1)
    assert both.repository.jobs.inputs(job.id) == [file]
    close(other)


def test_large_submissions_with_one_key_at_the_same_moment_make_one_job(both: Farm) -> None:
    new = large(given_model(both), idempotency_key="build-7")
    added = at_once(*[lambda: both.repository.jobs.add(new, actor=ACTOR)] * 3)
    assert len({job.id for job, _ in added}) == 1
    assert sum(fresh for _, fresh in added) == 1
    erase(both)
    assert rows_of(both, jobs, tasks) == [1, LARGE]


def test_a_key_that_is_used_while_a_large_job_comes_is_a_conflict(both: Farm, tmp_path: Path) -> None:
    model = given_model(both)
    other = farm_on(both.settings.database_url, tmp_path)
    small = NewJob("day", model.id, RenderOptions(), FrameSet.parse("1-3"), idempotency_key="build-7")
    before_transaction(both, 3, lambda: other.repository.jobs.add(small, actor=ACTOR))
    with pytest.raises(Conflict):
        both.repository.jobs.add(large(model, idempotency_key="build-7"), actor=ACTOR)
    erase(both)
    assert rows_of(both, jobs, tasks) == [1, 3]
    close(other)


def test_a_quota_that_is_used_up_while_a_large_job_comes_is_exceeded(both: Farm, tmp_path: Path) -> None:
    model, quotas = given_model(both), Quotas(user=Limits(tasks=LARGE + 2))
    other = farm_on(both.settings.database_url, tmp_path)
    before_transaction(both, 3, lambda: given_job(other, "1-3", model=model))
    with pytest.raises(QuotaExceeded):
        both.repository.jobs.add(large(model), actor=ACTOR, quotas=quotas)
    erase(both)
    assert rows_of(both, jobs, tasks) == [1, 3]
    close(other)


def test_a_user_who_is_disabled_while_their_job_comes_submits_none(both: Farm, tmp_path: Path) -> None:
    model = given_model(both)
    other = farm_on(both.settings.database_url, tmp_path)
    both.repository.users.add("eve", Role.ARTIST, (), password=None, actor=ACTOR)
    eve = replace(ACTOR, name="eve", via=Via.TOKEN)
    before_transaction(both, 3, lambda: other.repository.users.disable("eve", actor=ACTOR))
    with pytest.raises(TokenRefused):
        both.repository.jobs.add(large(model), actor=eve)
    erase(both)
    assert rows_of(both, jobs, tasks) == [0, 0]
    close(other)


def test_a_submission_that_is_interrupted_is_let_go_at_once(both: Farm) -> None:
    model = given_model(both)

    def interrupt() -> None:
        raise KeyboardInterrupt

    before_transaction(both, 3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        both.repository.jobs.add(large(model), actor=ACTOR)
    erase(both)
    assert rows_of(both, jobs, tasks) == [0, 0]


@pytest.mark.services
@pytest.mark.parametrize("late_s", [0.0, 0.5])
@pytest.mark.parametrize("transaction", range(1, TRANSACTIONS + 1))
def test_a_large_job_of_which_any_commit_was_not_heard_of_is_added_once(
    tmp_path: Path, ready_mysql_url: str, transaction: int, late_s: float
) -> None:
    with wire_to(ready_mysql_url) as (wire, url):
        farm = farm_on(url, tmp_path)
        model = given_model(farm)
        wire.late_s, wire.spares = late_s, transaction - 1
        wire.severs.set()
        job, new = farm.repository.jobs.add(large(model, idempotency_key="build-7"), actor=ACTOR)
        assert not wire.severs.is_set()
        assert (new, farm.repository.jobs.open_ids()) == (True, [job.id])
        assert rows_of(farm, jobs, tasks) == [1, LARGE]
        assert [entry.action for entry in farm.repository.audit.newest()].count("job.submit") == 1
        close(farm)
