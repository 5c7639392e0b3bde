"""Blender is told of the next short frame while it renders one, and nothing is lost or done twice by that."""

from datetime import UTC, datetime

import pytest

from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel
from tests.fake_blender import Behaviour, FakeExecutor, crashed, failing, held, once, truncated
from tests.farms import ACTOR, at_work, given_job, wait_for, work_off, work_until


def frames(farm: Farm, job_id: str) -> list[int]:
    outputs, _ = farm.repository.outputs.of_job(job_id)
    return sorted(output.frame for output in outputs)


@pytest.mark.slow
def test_blender_has_the_next_frame_before_it_is_done_with_one(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = held
    job = given_job(farm, "1-4")
    with at_work(farm):
        wait_for(farm, lambda: 3 in executor.ordered)
        assert 2 not in executor.rendered
        executor.gate.set()
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
    assert sorted(executor.rendered) == frames(farm, job.id) == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [crashed, failing("machine", "It is hot."), truncated])
def test_what_befalls_a_frame_costs_the_next_one_nothing(
    farm: Farm, executor: FakeExecutor, behaviour: Behaviour
) -> None:
    executor.behaviours[2] = once(behaviour)
    job = given_job(farm, "1-5")
    work_until(farm, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    assert frames(farm, job.id) == [1, 2, 3, 4, 5]
    assert sorted(task.attempts for task in farm.repository.tasks.of_job(job.id)) == [
        0,
        0,
        0,
        0,
        1,
    ]  # those that failed


@pytest.mark.slow
def test_a_frame_that_fails_has_begun_after_those_before_it(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[4] = once(failing("machine", "It is hot."))
    job = given_job(farm, "1-6")
    work_until(farm, job)
    attempts = farm.repository.attempts.of_job(job.id)
    first = {attempt.number: attempt.started_at or datetime.max.replace(tzinfo=UTC) for attempt in reversed(attempts)}
    assert all(attempt.started_at is not None for attempt in attempts)
    begun = [first[number] for number in range(1, 5)]
    assert begun == sorted(begun)


@pytest.mark.slow
def test_a_frame_whose_image_is_refused_has_begun_before_those_after_it(farm: Farm, executor: FakeExecutor) -> None:
    for frame in range(2, 30, 3):
        executor.behaviours[frame] = once(truncated)
    job = given_job(farm, "1-30")
    work_until(farm, job)
    attempts = farm.repository.attempts.of_job(job.id)
    first = {attempt.number: attempt.started_at or datetime.max.replace(tzinfo=UTC) for attempt in reversed(attempts)}
    assert all(attempt.started_at is not None for attempt in attempts)
    begun = [first[number] for number in range(1, 31)]
    assert begun == sorted(begun)


def test_a_job_that_is_over_leaves_nothing_running(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = failing("scene", "There is no camera.", whole_job=True)
    job = given_job(farm, "1-5")
    work_off(farm)
    counts = farm.repository.tasks.counts(job.id)
    assert farm.repository.jobs.get(job.id).state is JobState.FAILED
    assert (counts.running, counts.queued) == (0, 0)
    assert all(blender.stopped.is_set() for blender in executor.started)


@pytest.mark.slow
def test_a_worker_that_is_told_to_leave_ends_what_blender_has_begun(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = held
    job = given_job(farm, "1-40")
    with at_work(farm) as worker:
        wait_for(farm, lambda: 3 in executor.ordered)
        worker.drain()
        executor.gate.set()
        wait_for(farm, lambda: worker.wait(0.01))
    counts = farm.repository.tasks.counts(job.id)
    assert (counts.succeeded, counts.running, counts.queued) == (3, 0, 37)
    assert frames(farm, job.id) == [1, 2, 3]


@pytest.mark.slow
def test_a_cancelled_job_gives_back_what_was_ordered(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = held
    job = given_job(farm, "1-5")
    with at_work(farm):
        wait_for(farm, lambda: 3 in executor.ordered)
        cancel(farm, ACTOR, job.id)
        wait_for(farm, lambda: not farm.repository.tasks.counts(job.id).running)
    assert farm.repository.jobs.get(job.id).state is JobState.CANCELED
    states = {attempt.state for attempt in farm.repository.attempts.of_job(job.id)}
    assert AttemptState.RUNNING not in states
