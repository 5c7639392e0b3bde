import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.errors import QueueUnavailable
from renderctl.core.jobs import Job, TaskCounts
from renderctl.core.settings import Settings, WorkerSettings
from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.farm.jobs.control import cancel, pause, resume, retry
from renderctl.farm.scratch import Scratch, abandoned, scratch_root
from renderctl.queues import Queue, Ticket
from tests.fake_blender import FakeExecutor, crashed, failing, held, hung, once, truncated
from tests.fakes import ForgetfulCache
from tests.farms import (
    ACTOR,
    QUICK,
    at_work,
    close,
    given_job,
    given_model,
    log_of,
    make_farm,
    wait_for,
    work_off,
    work_until,
)


def counts(farm: Farm, job_id: str) -> TaskCounts:
    return farm.repository.tasks.counts(job_id)


def test_a_worker_renders_a_job_and_publishes_every_frame_once(farm: Farm, executor: FakeExecutor) -> None:
    job = given_job(farm, "1-20")
    work_off(farm)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    outputs, _ = farm.repository.outputs.of_job(job.id)
    assert sorted(output.frame for output in outputs) == list(range(1, 21))
    assert sorted(executor.rendered) == list(range(1, 21))
    assert not farm.store.missing({output.digest for output in outputs})


def test_one_warm_blender_serves_all_frames_of_a_job_and_another_job_of_the_same_scene(
    farm: Farm, executor: FakeExecutor
) -> None:
    model = given_model(farm)
    given_job(farm, "1-10", model=model)
    given_job(farm, "11-20", model=model)
    work_off(farm)
    assert [blender.opened for blender in executor.started] == [1]


@pytest.mark.slow
def test_another_scene_gets_another_session(farm: Farm, executor: FakeExecutor) -> None:
    given_job(farm, "1-3", model=given_model(farm, "one"))
    given_job(farm, "1-3", model=given_model(farm, "two"))
    work_off(farm)
    assert sum(blender.opened for blender in executor.started) == 2


@pytest.mark.slow
def test_a_truncated_image_is_not_published_and_is_rendered_again(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = once(truncated)
    job = given_job(farm, "1-3", max_attempts=2)
    work_until(farm, job)
    states = [attempt.state for attempt in farm.repository.attempts.of_job(job.id, 2)]
    assert states == [AttemptState.FAILED, AttemptState.SUCCEEDED]
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


@pytest.mark.slow
def test_a_crash_of_blender_costs_one_attempt_of_one_frame(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = once(crashed)
    job = given_job(farm, "1-3")
    work_until(farm, job)
    failed = [attempt for attempt in farm.repository.attempts.of_job(job.id) if attempt.state is AttemptState.FAILED]
    assert [(attempt.frame, "SIGSEGV" in (attempt.error or "")) for attempt in failed] == [(2, True)]
    assert counts(farm, job.id).succeeded == 3


def test_a_hung_blender_is_ended_and_the_reason_told(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = hung
    job = given_job(farm, "1", max_attempts=1)
    work_off(farm)
    ended = farm.repository.jobs.get(job.id)
    assert ended.state is JobState.FAILED
    assert ended.error == "Blender neither sent a message nor used the processor for 0.5 s."
    assert executor.started[0].stopped.is_set()


def test_a_fault_of_the_scene_is_not_tried_again(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = failing("scene", "There is no camera 'X'.")
    job = given_job(farm, "1-3")
    work_off(farm)
    assert counts(farm, job.id) == TaskCounts(succeeded=2, failed=1)
    assert len(farm.repository.attempts.of_job(job.id, 2)) == 1


def test_a_scene_that_can_not_be_opened_ends_the_job_at_once(farm: Farm, executor: FakeExecutor) -> None:
    executor.refusal = {"fault": "scene", "reason": "Missing DNA block.", "whole_job": True}
    job = given_job(farm, "1-100")
    work_off(farm)
    ended = farm.repository.jobs.get(job.id)
    assert (ended.state, ended.error) == (JobState.FAILED, "Missing DNA block.")
    assert counts(farm, job.id).failed == 1
    assert counts(farm, job.id).canceled == 99


def test_a_retry_renders_what_failed_and_no_more(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[2] = once(failing("scene", "no"))
    job = given_job(farm, "1-3")
    work_off(farm)
    _, count = retry(farm, ACTOR, job.id)
    work_off(farm)
    assert count == 1
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    assert sorted(executor.rendered) == [1, 2, 3]


def test_frames_that_are_rendered_anew_replace_their_outputs(farm: Farm, executor: FakeExecutor) -> None:
    job = given_job(farm, "1-3")
    work_off(farm)
    retry(farm, ACTOR, job.id, "2")
    work_off(farm)
    assert executor.rendered.count(2) == 2
    assert farm.repository.outputs.count(job.id) == 3


def running(farm: Farm, job: Job) -> bool:
    return len(farm.repository.attempts.running(job.id)) == 1


def test_a_canceled_job_stops_its_running_frame(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    with at_work(farm):
        wait_for(farm, lambda: running(farm, job))
        cancel(farm, ACTOR, job.id)
        wait_for(farm, lambda: counts(farm, job.id) == TaskCounts(canceled=3))
    executor.gate.set()
    assert executor.started[0].stopped.is_set()


def test_a_paused_job_finishes_what_runs_and_starts_no_more_until_resumed(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    with at_work(farm):
        wait_for(farm, lambda: running(farm, job))
        pause(farm, ACTOR, job.id)
        executor.gate.set()
        wait_for(farm, lambda: counts(farm, job.id) == TaskCounts(succeeded=1, queued=2))
    resume(farm, ACTOR, job.id)
    work_off(farm)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_drained_worker_finishes_its_frame_and_gives_the_rest_back_free_of_charge(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    with at_work(farm) as worker:
        wait_for(farm, lambda: running(farm, job))
        worker.drain()
        executor.gate.set()
        wait_for(farm, lambda: counts(farm, job.id) == TaskCounts(succeeded=1, queued=2))
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [0, 0, 0]


def test_a_halted_worker_gives_its_frame_back_free_of_charge(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    with at_work(farm) as worker:
        wait_for(farm, lambda: running(farm, job))
        worker.abort()
    executor.gate.set()
    assert counts(farm, job.id) == TaskCounts(queued=3)
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [0, 0, 0]


class BrokenQueue(Queue):
    """A queue that is away."""

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        raise QueueUnavailable

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> None:
        raise QueueUnavailable

    def check(self) -> str:
        raise QueueUnavailable

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_without_a_queue_slots_ask_the_database(farm: Farm) -> None:
    bereft = replace(farm, queue=BrokenQueue())
    job = given_job(bereft, "1-5")
    work_until(bereft, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


@pytest.mark.slow
def test_a_lost_ticket_costs_a_second_and_no_frame(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    assert farm.queue.get(["default"], 0.0) is not None
    work_until(farm, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_without_a_cache_everything_works(farm: Farm) -> None:
    bereft = replace(farm, cache=ForgetfulCache())
    job = given_job(bereft, "1-5")
    work_off(bereft)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_job_after_another_starts_when_that_one_has_succeeded(farm: Farm, executor: FakeExecutor) -> None:
    first = given_job(farm, "1-2")
    second = given_job(farm, "11-12", after=(first.id,))
    assert counts(farm, second.id).blocked == 2
    work_off(farm)
    assert executor.rendered == [1, 2, 11, 12]
    assert farm.repository.jobs.get(second.id).state is JobState.SUCCEEDED


@pytest.mark.slow
def test_jobs_of_one_priority_take_turns_and_a_higher_one_goes_first(farm: Farm, executor: FakeExecutor) -> None:
    farm = replace(farm, settings=replace(farm.settings, worker=replace(QUICK, quantum=1e-6)))
    model = given_model(farm)
    given_job(farm, "1-3", model=model)
    given_job(farm, "11-13", model=model)
    given_job(farm, "21-22", model=model, priority=9)
    work_off(farm)
    assert executor.rendered == [21, 22, 1, 11, 2, 12, 3, 13]


def test_the_log_of_an_attempt_begins_with_the_exact_command(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_off(farm)
    log = log_of(farm.store, farm.repository.attempts.of_job(job.id)[0].id)
    assert log is not None
    assert log.startswith(b"$ ")
    assert b"session.py" in log.splitlines()[0]


def test_the_logs_of_short_frames_are_kept_together_and_read_apart(farm: Farm) -> None:
    job = given_job(farm, "1-40")
    work_off(farm)
    attempts = farm.repository.attempts.of_job(job.id)
    for attempt in attempts:
        assert (
            b"".join(kept_log(farm, attempt)).splitlines()[1].decode() == f"# {attempt.task_id}: frame {attempt.frame}"
        )
    shared = [attempt.log.split(":")[0] for attempt in attempts if attempt.log is not None]
    assert 0 < len(set(shared)) < len(shared)


@pytest.mark.slow
def test_two_workers_share_a_job_and_no_frame_is_rendered_twice(
    tmp_path: Path, settings: Settings, executor: FakeExecutor
) -> None:
    patient = replace(settings, worker=WorkerSettings())  # a busy machine is no lost worker
    farm = make_farm(tmp_path, executor=executor, settings=patient)
    job = given_job(farm, "1-200")
    threads = [threading.Thread(target=work_until, args=(farm, job), kwargs={"name": f"w{n}"}) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(executor.rendered) == list(range(1, 201))
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    close(farm)


def test_the_executor_that_renders_nothing_is_enough_for_a_lifecycle(farm: Farm) -> None:
    quick = FakeExecutor(writes=False)
    job = given_job(farm, "1-50")
    work_off(replace(farm, executor=quick))
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_worker_is_not_refused_because_another_start_is_looking_for_the_dead(farm: Farm) -> None:
    looked_at = Scratch.claim(scratch_root(farm) / "w1")
    assert looked_at is not None
    looking = threading.Timer(0.2, looked_at.remove)
    looking.start()
    job = given_job(farm, "1-3")
    work_until(farm, job)
    looking.join()
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


@pytest.mark.slow
def test_new_scratch_is_to_be_had_while_others_look_for_what_the_dead_have_left(tmp_path: Path) -> None:
    over, had = threading.Event(), []

    def look() -> None:
        while not over.is_set():
            for dead in abandoned(tmp_path):
                dead.remove()

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for _ in range(300):
        scratch = Scratch.claim_new(tmp_path, "new")
        had.append(scratch.path.is_dir())
        scratch.remove()
    over.set()
    for looker in lookers:
        looker.join()
    assert all(had)
