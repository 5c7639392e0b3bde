"""What becomes of jobs whose predecessors fail, are canceled, or just end."""

from collections.abc import Callable

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Failure, Fault, Job, TaskCounts
from renderctl.core.models import Model
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done, sweep
from renderctl.farm.jobs.control import cancel, retry
from renderctl.farm.jobs.remove import remove_jobs
from renderctl.farm.jobs.status import job_document
from tests.farms import ACTOR, given_job, given_model, given_worker


def render_all(farm: Farm, job: Job) -> None:
    for attempt in farm.repository.attempts.claim(job.id, given_worker(farm), limit=9).attempts:
        farm.repository.attempts.complete(attempt, [], Cost())
    finish_job_if_done(farm, job.id)


def fail(farm: Farm, job: Job) -> None:
    for attempt in farm.repository.attempts.claim(job.id, given_worker(farm), limit=9).attempts:
        farm.repository.attempts.start(attempt)
        farm.repository.attempts.fail(attempt, Failure(Fault.SCENE, "no camera"), Cost())
    finish_job_if_done(farm, job.id)


def stop(farm: Farm, job: Job) -> None:
    cancel(farm, ACTOR, job.id)
    sweep(farm, "w1")


@pytest.fixture
def model(farm: Farm) -> Model:
    return given_model(farm)


@pytest.mark.parametrize("end", [render_all, fail, stop])
def test_a_job_after_any_end_goes_on_however_the_other_one_ends(
    farm: Farm, model: Model, end: Callable[[Farm, Job], None]
) -> None:
    first = given_job(farm, "1", model=model)
    second = given_job(farm, "1-3", model=model, after_any=(first.id,))
    assert farm.repository.tasks.counts(second.id) == TaskCounts(blocked=3)
    end(farm, first)
    assert farm.repository.tasks.counts(second.id) == TaskCounts(queued=3)
    render_all(farm, second)
    assert farm.repository.jobs.get(second.id).state is JobState.SUCCEEDED


def test_a_job_that_was_to_follow_a_success_waits_says_why_and_goes_on_after_a_retry(farm: Farm, model: Model) -> None:
    first = given_job(farm, "1", model=model)
    second = given_job(farm, "1-3", model=model, after=(first.id,))
    fail(farm, first)
    sweep(farm, "w1")
    assert farm.repository.tasks.counts(second.id) == TaskCounts(blocked=3)
    reason = job_document(farm, second.id)["waiting_reason"] or ""
    assert "which is failed" in reason
    assert f"`renderctl retry {first.id}`" in reason
    retry(farm, ACTOR, first.id)
    render_all(farm, first)
    assert farm.repository.tasks.counts(second.id) == TaskCounts(queued=3)


def test_who_waits_for_both_waits_for_the_success(farm: Farm, model: Model) -> None:
    first = given_job(farm, "1", model=model)
    second = given_job(farm, "1", model=model, after=(first.id,), after_any=(first.id,))
    fail(farm, first)
    assert farm.repository.tasks.counts(second.id) == TaskCounts(blocked=1)


def test_what_has_ended_already_is_not_waited_for(farm: Farm, model: Model) -> None:
    first = given_job(farm, "1", model=model)
    cancel(farm, ACTOR, first.id)
    second = given_job(farm, "1-3", model=model, after_any=(first.id,))
    assert farm.repository.tasks.counts(second.id) == TaskCounts(queued=3)
    remove_jobs(farm, ACTOR, [first.id])
    assert farm.repository.jobs.get(second.id).notes == ()
