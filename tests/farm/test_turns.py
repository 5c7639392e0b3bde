"""How much a slot takes at a time, and how it leaves."""

import threading
from dataclasses import replace

import pytest

from renderctl.core.attempts import Claim
from renderctl.core.errors import WorkerNameTaken
from renderctl.core.jobs import Attempt, Job, TaskCounts
from renderctl.core.settings import BlenderSettings
from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel, pause, resume
from renderctl.farm.jobs.remove import remove_jobs
from renderctl.farm.worker import WorkOptions, worker_for
from renderctl.farm.worker.slot_parts import Listeners
from renderctl.farm.worker.work_source import QueueSource
from renderctl.repository.attempts.store import Attempts
from tests.fake_blender import FakeExecutor, held, long, once, truncated
from tests.farms import (
    ACTOR,
    FACTS,
    SCENE,
    at_work,
    given_job,
    given_model,
    given_worker,
    wait_for,
    with_parts,
    work_off,
    work_until,
)


@pytest.fixture
def farm(farm: Farm) -> Farm:
    """One that takes no frame for stalled: these tests hold frames back."""
    return replace(farm, settings=replace(farm.settings, blender=BlenderSettings(stall_timeout=300.0)))


def held_by(farm: Farm, job: Job) -> dict[str, int]:
    counted: dict[str, int] = {}
    for attempt in farm.repository.attempts.of_job(job.id):
        if attempt.state in (AttemptState.CLAIMED, AttemptState.RUNNING):
            counted[attempt.worker_id] = counted.get(attempt.worker_id, 0) + 1
    return counted


def running(farm: Farm, job: Job) -> list[Attempt]:
    return farm.repository.attempts.running(job.id)


def test_short_frames_are_claimed_ahead_a_few_seconds_of_them_at_a_time(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[4] = held
    job = given_job(farm, "1-200")
    with at_work(farm):
        wait_for(farm, lambda: 3 in executor.rendered and farm.repository.tasks.counts(job.id).succeeded == 3)
        assert 2 <= held_by(farm, job)["w1"] <= 51
        executor.gate.set()
    assert farm.repository.tasks.counts(job.id).running == 0


@pytest.mark.slow
def test_a_long_frame_is_not_claimed_before_a_slot_is_free_for_it(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours.update({1: long, 2: long, 3: held})
    job = given_job(farm, "1-4")
    with at_work(farm):
        wait_for(farm, lambda: [attempt.frame for attempt in running(farm, job)] == [3])
        assert held_by(farm, job) == {"w1": 1}
        with at_work(farm, "w2"):
            wait_for(farm, lambda: 4 in executor.rendered)
        executor.gate.set()


def test_what_was_claimed_ahead_goes_back_free_of_charge_when_the_worker_drains(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.behaviours[4] = held
    job = given_job(farm, "1-20")
    with at_work(farm) as worker:
        wait_for(farm, lambda: [attempt.frame for attempt in running(farm, job)] == [4])
        worker.drain()
        executor.gate.set()
        wait_for(farm, lambda: not held_by(farm, job))
    assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=5, queued=15)  # Blender had begun the fifth
    assert {task.attempts for task in farm.repository.tasks.of_job(job.id)} == {0}


@pytest.mark.slow
def test_a_job_with_a_slot_limit_is_worked_on_by_no_more_slots(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours.update({frame: held for frame in range(1, 5)})
    job = given_job(farm, "1-4", max_slots=2)
    with at_work(farm, slots=3):
        wait_for(farm, lambda: len(running(farm, job)) == 2)
        farm.clock.wait(None, 1.5)  # longer than an idle slot waits before it asks the database
        assert len(running(farm, job)) == 2
        executor.gate.set()
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)


def test_the_frame_after_a_truncated_one_is_known_to_be_running(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours.update({2: once(truncated), 3: held})
    job = given_job(farm, "1-3")
    with at_work(farm):
        wait_for(
            farm, lambda: any(each.state is AttemptState.FAILED for each in farm.repository.attempts.of_job(job.id))
        )
        wait_for(farm, lambda: [attempt.frame for attempt in running(farm, job)] == [3])
        executor.gate.set()


def test_a_worker_that_is_halted_while_a_scene_opens_ends_at_once_and_charges_nothing(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.opens = False
    job = given_job(farm, "1-3")
    began = farm.clock.monotonic()
    with at_work(farm):
        wait_for(farm, lambda: executor.started and executor.started[0].opened)
    assert farm.clock.monotonic() - began < 8.0
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=3)
    assert {task.attempts for task in farm.repository.tasks.of_job(job.id)} == {0}


def test_a_job_that_is_canceled_while_its_scene_opens_gives_the_slot_free(farm: Farm, executor: FakeExecutor) -> None:
    executor.opens = False
    stuck = given_job(farm, "1")
    with at_work(farm):
        wait_for(farm, lambda: executor.started and executor.started[0].opened)
        executor.opens = True
        cancel(farm, ACTOR, stuck.id)
        other = given_job(farm, "1")
        wait_for(farm, lambda: farm.repository.jobs.get(other.id).state is JobState.SUCCEEDED)
    assert farm.repository.tasks.counts(stuck.id) == TaskCounts(canceled=1)


@pytest.mark.slow
def test_a_scratch_folder_that_can_not_be_written_costs_an_attempt_and_not_the_worker(
    farm: Farm, executor: FakeExecutor
) -> None:
    failures: list[str] = []

    def restored(_attempt: Attempt, failure: object) -> None:
        failures.append(str(failure))
        logs.unlink()

    logs = farm.settings.data_dir / "scratch" / "w1" / "slot-0" / "logs"
    job = given_job(farm, "1", max_attempts=2)
    worker = worker_for(farm, ACTOR, WorkOptions(name="w1", listeners=Listeners(on_failed=restored)))
    logs.parent.mkdir(parents=True)
    logs.write_text("a file where a folder should be")
    worker.start()
    worker.work()
    wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
    worker.abort()
    wait_for(farm, lambda: worker.wait(0.05))
    worker.leave()
    assert len(failures) == 1
    assert "The scratch folder" in failures[0]


def test_a_second_slot_waits_for_the_last_frames_of_the_first_without_asking_all_the_time(
    farm: Farm, executor: FakeExecutor
) -> None:
    class Counted(Attempts):
        claims = 0

        def claim(self, *arguments: object, **named: object):  # type: ignore[no-untyped-def]
            Counted.claims += 1
            return super().claim(*arguments, **named)  # type: ignore[arg-type]

    counted = Counted(farm.repository.database, farm.repository.tasks)
    farm = with_parts(farm, attempts=counted)
    executor.behaviours[1] = held
    job = given_job(farm, "1")
    worker = worker_for(farm, ACTOR, WorkOptions(slots=2, only_job=job.id))
    worker.start()
    worker.work(job.id)
    wait_for(farm, lambda: running(farm, job))
    before = Counted.claims
    farm.clock.wait(None, 0.5)
    assert Counted.claims - before < 10
    executor.gate.set()
    wait_for(farm, lambda: worker.wait(0.05))
    worker.leave()
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_worker_of_one_job_waits_while_that_is_paused_says_so_and_leaves_when_it_has_ended(
    farm: Farm, executor: FakeExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-4")
    worker = worker_for(farm, ACTOR, WorkOptions(only_job=job.id))
    worker.start()
    with caplog.at_level("WARNING"):
        worker.work(job.id)
        wait_for(farm, lambda: [attempt.frame for attempt in running(farm, job)] == [1])
        pause(farm, ACTOR, job.id)
        executor.gate.set()
        wait_for(farm, lambda: f"`renderctl resume {job.id}`" in caplog.text)
    assert not worker.wait(0.0)
    resume(farm, ACTOR, job.id)
    wait_for(farm, lambda: worker.wait(0.05))
    worker.leave()
    assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=4)


def test_a_worker_of_one_job_waits_for_the_job_that_it_comes_after(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    model = given_model(farm)
    first = given_job(farm, "1", model=model, paused=True)
    job = given_job(farm, "1-2", model=model, after=(first.id,))
    worker = worker_for(farm, ACTOR, WorkOptions(only_job=job.id))
    worker.start()
    with caplog.at_level("WARNING"):
        worker.work(job.id)
        wait_for(farm, lambda: f"waits for job {first.id}" in caplog.text)
    resume(farm, ACTOR, first.id)
    work_until(farm, first, name="w2")
    wait_for(farm, lambda: worker.wait(0.05))
    worker.leave()
    assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=2)


def test_a_worker_of_one_job_leaves_when_that_is_removed(farm: Farm, executor: FakeExecutor) -> None:
    job = given_job(farm, "1-4", paused=True)
    worker = worker_for(farm, ACTOR, WorkOptions(only_job=job.id))
    worker.start()
    worker.work(job.id)
    remove_jobs(farm, ACTOR, [job.id], force=True)
    wait_for(farm, lambda: worker.wait(0.05))
    worker.leave()
    assert executor.rendered == []


@pytest.mark.parametrize("gave_back", [True, False])
def test_a_slot_that_leaves_a_job_which_was_removed_meanwhile_goes_on(farm: Farm, gave_back: bool) -> None:
    job, claimant = given_job(farm, "1-4", max_slots=1), given_worker(farm)
    remove_jobs(farm, ACTOR, [job.id], force=True)
    turns = QueueSource(farm, claimant, idle_exit_s=0.05)
    turns.leave(job, released=gave_back)
    assert turns.next(threading.Event()) == Claim()


def test_two_workers_of_one_name_do_not_run_on_one_machine(farm: Farm) -> None:
    with at_work(farm), pytest.raises(WorkerNameTaken, match="running here already"):
        worker_for(farm, ACTOR, WorkOptions(name="w1"))


def test_a_worker_sweeps_up_what_the_dead_left_and_leaves_nothing_itself(farm: Farm) -> None:
    scratch = farm.settings.data_dir / "scratch"
    (scratch / "dead" / "slot-0" / "tasks" / "x").mkdir(parents=True)
    (scratch / "dead.lock").touch()
    job = given_job(farm, "1")
    work_until(farm, job)
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_frames_of_an_unbaked_simulation_are_rendered_in_order_by_one_slot(farm: Farm, executor: FakeExecutor) -> None:
    simulated = replace(FACTS, scenes=(replace(SCENE, unbaked=("Cloth",)),))
    job = given_job(farm, "1-12", model=given_model(farm, facts=simulated))
    threads = [threading.Thread(target=work_off, args=(farm,), kwargs={"name": name}) for name in ("w1", "w2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert executor.rendered == list(range(1, 13))
    assert "not baked" in farm.repository.jobs.get(job.id).notes[0]
