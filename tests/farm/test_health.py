"""A node that is not well takes no work, says why, and recovers; a drained worker stays until it is resumed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.jobs import Failure, Fault, TaskCounts
from renderctl.core.settings import BlenderSettings
from renderctl.core.states import AttemptState, JobState, WorkerState
from renderctl.core.workers import Heartbeat, Worker
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.admin.workers import drain_worker, list_workers, resume_worker
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.stop_flags import StopFlags
from tests.fake_blender import FakeExecutor, crashed, held, once, truncated
from tests.farms import ACTOR, at_work, given_job, given_worker, wait_for


@pytest.fixture
def farm(farm: Farm) -> Farm:
    """One that takes no frame for stalled: these tests hold frames back."""
    return replace(farm, settings=replace(farm.settings, blender=BlenderSettings(stall_timeout=300.0)))


def the_worker(farm: Farm, name: str = "w1") -> Worker | None:
    return next((each for each in list_workers(farm, ACTOR) if each.id == name), None)


def is_in(farm: Farm, state: WorkerState, name: str = "w1") -> bool:
    worker = the_worker(farm, name)
    return worker is not None and worker.state is state


def wanting(farm: Farm, min_free_mb: int) -> Farm:
    return replace(farm, settings=replace(farm.settings, worker=replace(farm.settings.worker, min_free_mb=min_free_mb)))


@contextmanager
def scarce(farm: Farm) -> Iterator[Farm]:
    """A farm that wants half a gigabyte more than is free, until a file is given up."""
    folder = farm.settings.data_dir
    wanted = (shutil.disk_usage(folder).free >> 20) - 256
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        file.truncate()
        import os

        os.posix_fallocate(file.fileno(), 0, 512 << 20)
    try:
        yield wanting(farm, wanted)
    finally:
        ballast.unlink(missing_ok=True)


@pytest.mark.slow
def test_a_worker_without_room_on_its_disk_says_so_takes_nothing_and_recovers_by_itself(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    with scarce(farm) as short, at_work(short):
        wait_for(farm, lambda: is_in(farm, WorkerState.UNHEALTHY))
        worker = the_worker(farm)
        assert worker is not None
        assert " MB free on /" in (worker.reason or "")
        assert (worker.reason or "").endswith(f", {short.settings.worker.min_free_mb} needed")
        assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=3)
        (farm.settings.data_dir / "ballast").unlink()
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
        worker = the_worker(farm)
        assert worker is not None
        assert (worker.state, worker.reason) == (WorkerState.ACTIVE, None)


def test_a_worker_whose_blender_does_not_start_says_so_and_goes_on_when_it_does(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.broken = "libGL.so.1 is missing."
    job = given_job(farm, "1-3")
    with at_work(farm):
        wait_for(farm, lambda: is_in(farm, WorkerState.UNHEALTHY))
        worker = the_worker(farm)
        assert worker is not None
        assert worker.reason == "Blender does not start: libGL.so.1 is missing."
        executor.gpus, executor.broken = ("OPTIX: NVIDIA L4",), None
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
        worker = the_worker(farm)
        assert worker is not None
        assert worker.capabilities.gpus == ("OPTIX: NVIDIA L4",)
    assert farm.repository.attempts.of_job(job.id)[0].state is AttemptState.SUCCEEDED


@pytest.mark.slow
def test_after_a_crash_blender_is_tried_before_more_work_is_taken(farm: Farm, executor: FakeExecutor) -> None:
    def crash_for_good(*order: object) -> None:
        executor.broken = "The driver is gone."
        crashed(*order)  # type: ignore[arg-type]

    executor.behaviours[1] = once(crash_for_good)
    job = given_job(farm, "1-40", max_slots=1)
    with at_work(farm):
        wait_for(farm, lambda: is_in(farm, WorkerState.UNHEALTHY))
        failed = [each for each in farm.repository.attempts.of_job(job.id) if each.state is AttemptState.FAILED]
        executor.broken = None
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
    assert 1 <= len(failed) <= 2  # the frame that crashed, and at most one that found no Blender


def test_a_full_disk_is_named_as_the_reason_of_a_failure(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = once(truncated)
    job = given_job(farm, "1", max_attempts=1)
    plenty = 1 << 40
    reasons = Health(wanting(farm, plenty), [farm.settings.data_dir], StopFlags(), ())
    told = reasons.explain(Failure(Fault.MACHINE, "The image is cut off."))
    assert told.reason.startswith("The image is cut off. The disk is nearly full: ")
    scene = Failure(Fault.SCENE, "There is no camera.")
    assert reasons.explain(scene) == scene
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.FAILED)
    assert "nearly full" not in (farm.repository.jobs.get(job.id).error or "")


@pytest.mark.slow
def test_a_drained_worker_finishes_its_frame_stays_and_goes_on_when_it_is_resumed(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        assert drain_worker(farm, ACTOR, "w1").state is WorkerState.DRAINING
        executor.gate.set()
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=1, queued=2))
        farm.clock.wait(None, 0.5)  # some heartbeats, and longer than a slot rests
        assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=1, queued=2)
        worker = the_worker(farm)
        assert worker is not None
        assert (worker.state, worker.reason) == (WorkerState.DRAINING, "asked for by ada")
        resume_worker(farm, ACTOR, "w1")
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
        assert is_in(farm, WorkerState.ACTIVE)
    assert {task.attempts for task in farm.repository.tasks.of_job(job.id)} == {0}


def test_a_worker_is_drained_and_resumed_on_its_own_node_and_the_farm_knows(farm: Farm) -> None:
    with at_work(farm) as worker:
        wait_for(farm, lambda: is_in(farm, WorkerState.ACTIVE))
        worker.hold()
        wait_for(farm, lambda: is_in(farm, WorkerState.DRAINING))
        job = given_job(farm, "1")
        farm.clock.wait(None, 0.3)
        assert farm.repository.tasks.counts(job.id).queued == 1
        worker.resume()
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)


@pytest.mark.parametrize("end", ["leave", "lose"])
def test_a_drained_worker_is_still_drained_after_it_was_away(farm: Farm, end: str) -> None:
    given_worker(farm)
    drain_worker(farm, ACTOR, "w1")
    if end == "leave":
        farm.repository.workers.deregister("w1", "1", actor=ACTOR)
        given_worker(farm, start="2")
    else:
        farm.clock.wait(None, farm.settings.worker.heartbeat_limit + 0.1)
        farm.repository.recovery.expire_silent()
        assert is_in(farm, WorkerState.LOST)
        farm.repository.workers.heartbeat(Heartbeat("w1", "1"))
    assert is_in(farm, WorkerState.DRAINING)


def test_a_drained_worker_that_is_unwell_is_unhealthy_once_it_is_resumed(farm: Farm) -> None:
    given_worker(farm)
    drain_worker(farm, ACTOR, "w1")
    assert farm.repository.workers.heartbeat(Heartbeat("w1", "1", problem="no room")).state is WorkerState.DRAINING
    resume_worker(farm, ACTOR, "w1")
    assert farm.repository.workers.heartbeat(Heartbeat("w1", "1", problem="no room")).state is WorkerState.UNHEALTHY
    assert farm.repository.workers.heartbeat(Heartbeat("w1", "1")).state is WorkerState.ACTIVE


@pytest.mark.parametrize("complaint", [None, "no room"])
def test_a_worker_that_takes_no_work_gets_none_even_if_it_asks(farm: Farm, complaint: str | None) -> None:
    slot = given_worker(farm)
    job = given_job(farm)
    if complaint is None:
        drain_worker(farm, ACTOR, "w1")
    else:
        farm.repository.workers.heartbeat(Heartbeat("w1", "1", problem=complaint))
    claim = farm.repository.attempts.claim(job.id, slot, serial=job.serial)
    assert (claim.attempts, claim.serial, claim.delay_s) == ((), job.serial, 1.0)
    assert farm.repository.attempts.claimable_jobs(slot) == []


def test_a_worker_that_is_told_to_leave_gives_up_frames_that_take_too_long(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-3")
    began = farm.clock.monotonic()
    with at_work(farm, drain_timeout_s=0.3) as worker:
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        worker.drain()
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id) == TaskCounts(queued=3))
    assert farm.clock.monotonic() - began < 15.0
    assert {task.attempts for task in farm.repository.tasks.of_job(job.id)} == {0}


def test_the_lost_are_swept_whatever_they_were_held_in(farm: Farm) -> None:
    given_worker(farm)
    drain_worker(farm, ACTOR, "w1")
    farm.clock.wait(None, farm.settings.worker.heartbeat_limit + 0.1)
    sweep(farm, "test")
    farm.repository.recovery.expire_silent()
    assert is_in(farm, WorkerState.LOST)
    assert Path(farm.settings.data_dir).exists()
