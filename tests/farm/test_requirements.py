"""A worker gets the jobs that it can render, and no others."""

from dataclasses import replace

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Failure, Fault, RenderOptions
from renderctl.core.requirements import Requirements
from renderctl.core.states import JobState
from renderctl.core.workers import Capabilities
from renderctl.farm import Farm
from tests.fake_blender import FakeExecutor
from tests.fakes import FakeClock
from tests.farms import ACTOR, FACTS, NODE, at_work, given_job, given_model, given_worker, wait_for, work_until

GPU = replace(NODE, gpus=("OPTIX: NVIDIA L4", "CUDA: NVIDIA L4"))
OLD = replace(NODE, blenders=("4.2.1",))


@pytest.mark.parametrize(
    ("requirements", "offered", "lacks"),
    [
        (Requirements(), Capabilities(), None),
        (Requirements(("ssd",)), NODE, "the tag ssd"),
        (Requirements(("ssd",)), replace(NODE, tags=("ssd",)), None),
        (Requirements(("optix",)), NODE, "the tag optix"),
        (Requirements(("optix", "cuda")), GPU, None),
        (Requirements(("blender-5.0",)), NODE, None),
        (Requirements(("blender-5.2",)), NODE, "the tag blender-5.2"),
        (Requirements(blender="4.5"), NODE, None),
        (Requirements(blender="4.5"), OLD, "Blender 4.5 or newer"),
        (Requirements(blender="4.5"), Capabilities(), "Blender 4.5 or newer"),
        (Requirements(blender="5.10"), replace(NODE, blenders=("5.9.0",)), "Blender 5.10 or newer"),
    ],
)
def test_a_worker_lacks_what_it_does_not_offer(
    requirements: Requirements, offered: Capabilities, lacks: str | None
) -> None:
    assert offered.lacks(requirements) == lacks


def test_a_job_keeps_what_it_requires(quiet: Farm) -> None:
    job = given_job(quiet, requires=("ssd", "ssd"), options=RenderOptions(device="optix"))
    assert quiet.repository.jobs.get(job.id).requirements == Requirements(("ssd", "optix"), "4.5")


def test_a_scene_of_an_old_blender_and_any_device_require_nothing(quiet: Farm) -> None:
    model = given_model(quiet, facts=replace(FACTS, saved_by="4.2.3"))
    assert not given_job(quiet, model=model, options=RenderOptions(device="cpu")).requirements


@pytest.mark.parametrize("serial", [True, False])
def test_a_worker_without_the_tag_gets_nothing_and_the_ticket_goes_back_with_a_delay(quiet: Farm, serial: bool) -> None:
    job = given_job(quiet, "1-3", requires=("ssd",))
    plain = given_worker(quiet, "plain")
    claim = quiet.repository.attempts.claim(job.id, plain, serial=job.serial if serial else None)
    assert (claim.attempts, claim.serial, claim.delay_s) == ((), job.serial + serial, 1.0)
    fit = given_worker(quiet, "fit", offered=replace(NODE, tags=("ssd",)))
    assert quiet.repository.attempts.claim(job.id, fit, serial=claim.serial).attempts


def test_a_ticket_that_is_refused_again_and_again_comes_back_ever_more_rarely_and_alone(quiet: Farm) -> None:
    job = given_job(quiet, "1-3", requires=("ssd",))
    plain, serial, delays = given_worker(quiet, "plain"), job.serial, []
    for _ in range(8):
        claim = quiet.repository.attempts.claim(job.id, plain, serial=serial)
        assert quiet.repository.attempts.claim(job.id, plain, serial=serial).serial is None, "a copy of it is stale"
        assert claim.serial is not None
        serial = claim.serial
        delays.append(claim.delay_s)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    fit = given_worker(quiet, "fit", offered=replace(NODE, tags=("ssd",)))
    served = quiet.repository.attempts.claim(job.id, fit, serial=serial)
    quiet.repository.attempts.release(served.attempts)
    assert served.serial is not None
    assert quiet.repository.attempts.claim(job.id, plain, serial=served.serial).delay_s == 1.0


@pytest.mark.slow
def test_an_idle_slot_is_not_offered_what_it_can_not_render(quiet: Farm) -> None:
    model = given_model(quiet)
    for _ in range(150):
        given_job(quiet, "1", model=model, requires=("ssd",), priority=9)
    possible = given_job(quiet, "1", model=model)
    assert quiet.repository.attempts.claimable_jobs(given_worker(quiet)) == [possible.id]


def test_an_idle_slot_is_not_offered_what_other_slots_have_as_many_of_as_may(quiet: Farm) -> None:
    model = given_model(quiet)
    for number in range(6):
        limited = given_job(quiet, "1-9", model=model, max_slots=2, priority=9)
        for slot in "ab":
            assert quiet.repository.attempts.claim(limited.id, given_worker(quiet, f"{slot}{number}")).attempts
    free = given_job(quiet, "1-9", model=model, max_slots=2)
    assert quiet.repository.attempts.claim(free.id, given_worker(quiet, "c")).attempts
    assert quiet.repository.attempts.claimable_jobs(given_worker(quiet, "idle")) == [free.id]


@pytest.mark.slow
def test_jobs_that_nobody_can_render_keep_nobody_from_a_turn(farm: Farm) -> None:
    model = given_model(farm)
    for _ in range(60):
        given_job(farm, "1", model=model, requires=("ssd",), priority=9)
    with at_work(farm):
        possible = given_job(farm, "1", model=model)
        wait_for(farm, lambda: farm.repository.jobs.get(possible.id).state is JobState.SUCCEEDED)


def test_a_job_that_is_bound_to_a_worker_is_rendered_there_whatever_it_requires(quiet: Farm) -> None:
    own = given_worker(quiet, "own", offered=Capabilities())
    job = given_job(quiet, "1", options=RenderOptions(device="optix"), bound_to="own")
    assert quiet.repository.attempts.claim(job.id, own).attempts


def test_a_frame_that_failed_here_is_tried_here_again_when_no_other_worker_has_what_it_requires(
    quiet: Farm, clock: FakeClock
) -> None:
    fit = given_worker(quiet, "fit", offered=replace(NODE, tags=("ssd",)))
    job = given_job(quiet, "1", requires=("ssd",))
    (attempt,) = quiet.repository.attempts.claim(job.id, fit).attempts
    quiet.repository.attempts.start(attempt)
    quiet.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "no"), Cost())
    clock.advance(seconds=3.0)
    given_worker(quiet, "fit", offered=replace(NODE, tags=("ssd",)))
    given_worker(quiet, "plain")
    assert quiet.repository.attempts.claim(job.id, fit).attempts


def test_the_workers_that_can_render_it_share_a_job_and_the_others_take_no_part(
    farm: Farm, executor: FakeExecutor
) -> None:
    executor.gpus = ("OPTIX: NVIDIA L4",)
    job = given_job(farm, "1-3", options=RenderOptions(device="optix"))
    plain = given_worker(farm, "plain")
    assert not farm.repository.attempts.claim(job.id, plain).attempts
    work_until(farm, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    (worker,) = (each for each in farm.repository.workers.all(include_gone=True) if each.id == "w1")
    assert worker.capabilities.gpus == ("OPTIX: NVIDIA L4",)
    assert farm.repository.audit.newest(subject="w1")[0].actor == ACTOR.name
