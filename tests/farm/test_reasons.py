"""A job that waits says why."""

from dataclasses import replace
from typing import Any

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Failure, Fault, Job, RenderOptions
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.admin.workers import drain_worker
from renderctl.farm.jobs.control import cancel, pause
from renderctl.farm.jobs.status import status
from tests.fakes import FakeClock
from tests.farms import ACTOR, FACTS, NODE, QUICK, given_job, given_model, given_worker


@pytest.fixture
def farm(quiet: Farm) -> Farm:
    return quiet


def reason(farm: Farm, job: Job) -> str | None:
    said: str | None = status(farm, ACTOR, job.id, cached=False)["waiting_reason"]
    return said


def test_a_job_waits_for_a_worker_of_its_pool(farm: Farm) -> None:
    given_worker(farm, pools=("default",))
    assert reason(farm, given_job(farm, pool="gpu")) == "no worker serves pool gpu"


def test_a_worker_that_fell_silent_serves_no_pool_even_if_nobody_has_swept(farm: Farm, clock: FakeClock) -> None:
    given_worker(farm)
    job = given_job(farm)
    clock.advance(seconds=QUICK.heartbeat_limit + 0.1)
    assert reason(farm, job) == "no worker serves pool default"


def test_a_render_of_somebody_else_serves_no_pool(farm: Farm) -> None:
    given_worker(farm, "render-1abc")
    assert reason(farm, given_job(farm)) == "no worker serves pool default"


def test_a_job_that_was_begun_by_render_is_bound_to_it(farm: Farm) -> None:
    given_worker(farm, "render-1abc", host="attic")
    assert reason(farm, given_job(farm, bound_to="render-1abc")) == "bound to `render` on host attic"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"requires": ("ssd",)}, "no worker of pool default has the tag ssd"),
        ({"options": RenderOptions(device="optix")}, "no worker of pool default has the tag optix"),
        ({"requires": ("big", "blender-5.2")}, "no worker of pool default has the tag blender-5.2"),
    ],
)
def test_a_job_waits_for_what_no_worker_has(farm: Farm, request_: dict[str, Any], said: str) -> None:
    given_worker(farm, "w1")
    given_worker(farm, "w2", offered=replace(NODE, tags=("big",)))
    assert reason(farm, given_job(farm, **request_)) == said


def test_a_job_waits_for_a_blender_that_can_open_it(farm: Farm) -> None:
    given_worker(farm, offered=replace(NODE, blenders=("4.2.0",)))
    model = given_model(farm, facts=replace(FACTS, saved_by="5.2"))
    assert reason(farm, given_job(farm, model=model)) == "no worker of pool default has Blender 4.5 or newer"


def test_what_several_workers_have_only_together_is_named_whole(farm: Farm) -> None:
    given_worker(farm, "w1", offered=replace(NODE, tags=("big",)))
    given_worker(farm, "w2", offered=replace(NODE, tags=("ssd",)))
    said = "no worker of pool default has all of the tag big and the tag ssd and Blender 4.5 or newer"
    assert reason(farm, given_job(farm, requires=("big", "ssd"))) == said


def test_a_job_waits_for_slots_that_others_use(farm: Farm) -> None:
    farm.repository.attempts.claim(given_job(farm).id, given_worker(farm))
    given_worker(farm, "w2", offered=replace(NODE, blenders=("4.2.0",)))
    assert reason(farm, given_job(farm)) == "all 1 slots busy"


def test_a_job_whose_own_limit_is_reached_says_so_while_it_runs(farm: Farm) -> None:
    job = given_job(farm, "1-3", max_slots=2)
    for name in ("w1", "w2"):
        assert reason(farm, job) is None or name == "w1"
        farm.repository.attempts.claim(job.id, given_worker(farm, name))
    assert reason(farm, job) == "its own slot limit of 2 is reached"


def test_a_job_waits_for_workers_that_drain(farm: Farm) -> None:
    given_worker(farm)
    drain_worker(farm, ACTOR, "w1")
    assert reason(farm, given_job(farm)) == "every worker of pool default is draining: asked for by ada"


def test_a_job_waits_for_a_node_that_is_unwell(farm: Farm) -> None:
    given_worker(farm, "w1")
    given_worker(farm, "w2")
    for name in ("w1", "w2"):
        farm.repository.workers.heartbeat(Heartbeat(name, "1", problem="312 MB free on /data, 2048 needed"))
    said = "every worker of pool default is unhealthy: 312 MB free on /data, 2048 needed (worker w1)"
    assert reason(farm, given_job(farm)) == said


def test_a_job_waits_for_workers_that_are_held_for_different_reasons(farm: Farm) -> None:
    given_worker(farm, "w1", offered=replace(NODE, tags=("ssd",)))
    given_worker(farm, "w2", offered=replace(NODE, tags=("ssd",)))
    given_worker(farm, "w3")
    farm.repository.workers.heartbeat(Heartbeat("w1", "1", problem="no room"))
    drain_worker(farm, ACTOR, "w2")
    said = "every worker of pool default that could render it is held: 1 draining, 1 unhealthy"
    assert reason(farm, given_job(farm, requires=("ssd",))) == said


def test_a_job_waits_for_its_turn(farm: Farm) -> None:
    given_worker(farm)
    assert reason(farm, given_job(farm)) == "its turn comes next"


def test_a_job_that_is_paused_says_so(farm: Farm) -> None:
    job = given_job(farm)
    pause(farm, ACTOR, job.id)
    assert reason(farm, job) == "paused"


def test_a_job_waits_for_another_job(farm: Farm) -> None:
    first = given_job(farm, name="first")
    assert reason(farm, given_job(farm, after=(first.id,))) == f"waits for job {first.id} (first), which is queued"


def test_a_job_waits_until_it_is_tried_again(farm: Farm) -> None:
    job = given_job(farm, "1")
    (attempt,) = farm.repository.attempts.claim(job.id, given_worker(farm)).attempts
    farm.repository.attempts.start(attempt)
    farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "The GPU is gone."), Cost())
    assert reason(farm, job) == "tries again in 2 s"


@pytest.mark.parametrize("ended", [False, True])
def test_a_job_that_runs_or_has_ended_waits_for_nothing(farm: Farm, ended: bool) -> None:
    job = given_job(farm)
    farm.repository.attempts.claim(job.id, given_worker(farm))
    if ended:
        cancel(farm, ACTOR, job.id)
    assert reason(farm, job) is None
