"""What a job needs does not go while the job comes: its model, and the jobs that it waits for."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from renderctl.core.attempts import Cost
from renderctl.core.errors import Conflict, NotFound
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Job, NewJob, RenderOptions, TaskCounts
from renderctl.core.models import Model
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.remove import remove_jobs
from renderctl.repository.schema.jobs import job_dependencies, jobs
from tests.databases import farm_on
from tests.farms import ACTOR, close, given_job, given_model, given_worker
from tests.ports.test_repository_races import at_once


@pytest.fixture
def both(tmp_path: Path, database_url: str):  # type: ignore[no-untyped-def]
    farm = farm_on(database_url, tmp_path)
    yield farm
    close(farm)


def given_succeeded_job(farm: Farm, model: Model) -> Job:
    job = given_job(farm, "1", model=model)
    slot = given_worker(farm)
    for attempt in farm.repository.attempts.claim(job.id, slot).attempts:
        farm.repository.attempts.complete(attempt, [], Cost())
    assert farm.repository.jobs.finish_if_done(job.id) is JobState.SUCCEEDED
    return job


def waiting_for(model: Model, *after: Job) -> NewJob:
    return NewJob("next", model.id, RenderOptions(), FrameSet.parse("1-3"), after=tuple(job.id for job in after))


def test_a_job_does_not_wait_for_one_that_was_removed_before_it_came(both: Farm) -> None:
    model = given_model(both)
    first = given_succeeded_job(both, model)
    both.repository.jobs.remove(first.id, actor=ACTOR)
    with pytest.raises(NotFound, match=first.id):
        both.repository.jobs.add(waiting_for(model, first), actor=ACTOR)
    assert [summary.job.id for summary in both.repository.summaries.newest()] == []


def test_a_job_of_a_model_that_was_removed_before_it_came_is_refused(both: Farm) -> None:
    model = given_model(both)
    both.repository.models.remove(model.id, actor=ACTOR)
    with pytest.raises(NotFound, match="removed meanwhile"):
        both.repository.jobs.add(waiting_for(model), actor=ACTOR)


@pytest.mark.slow
def test_a_removal_at_the_moment_of_a_submission_leaves_nothing_that_can_not_be_repaired(both: Farm) -> None:
    model = given_model(both)
    for _ in range(10):
        first = given_succeeded_job(both, model)
        outcomes = at_once(
            partial(both.repository.jobs.remove, first.id, actor=ACTOR),
            partial(_added, both, waiting_for(model, first)),
        )
        added = outcomes[1]
        while both.repository.recovery.delete_removed_batch():
            pass
        if added is not None:
            assert both.repository.tasks.counts(added.id) == TaskCounts(queued=3)
    links = both.repository.database.read(lambda connection: connection.execute(select(job_dependencies)).all())
    assert links == []


def _added(farm: Farm, new: NewJob) -> Job | None:
    try:
        return farm.repository.jobs.add(new, actor=ACTOR)[0]
    except NotFound:
        return None


def test_a_removal_of_a_model_at_the_moment_of_a_submission_is_one_or_the_other(both: Farm) -> None:
    for number in range(10):
        model = given_model(both, f"shot-{number}")
        removed, added = at_once(
            partial(_model_removed, both, model),
            partial(_added, both, waiting_for(model)),
        )
        assert removed is (added is None)


def _model_removed(farm: Farm, model: Model) -> bool:
    try:
        farm.repository.models.remove(model.id, actor=ACTOR)
    except Conflict:
        return False
    return True


def test_tasks_that_an_older_version_left_waiting_for_a_removed_job_are_freed_and_its_rows_go(both: Farm) -> None:
    model = given_model(both)
    first, second = given_job(both, "1", model=model), given_job(both, "1-3", model=model)
    waiting = given_job(both, "1-3", model=model, after=(first.id,))
    both.repository.jobs.cancel(first.id, actor=ACTOR)
    hide = jobs.update().where(jobs.c.id == first.id).values(removed_at=both.clock.now())
    both.repository.database.write(lambda connection: connection.execute(hide))
    both.repository.jobs.cancel(second.id, actor=ACTOR)
    remove_jobs(both, ACTOR, [second.id])  # the one that can not be erased yet holds up no other
    assert sweep(both, "w1").held
    assert both.repository.tasks.counts(waiting.id) == TaskCounts(queued=3)
    sweep(both, "w1")
    left = both.repository.database.read(lambda connection: set(connection.scalars(select(jobs.c.id))))
    assert left == {waiting.id}
