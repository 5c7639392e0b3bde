"""The job document: see DESIGN §5."""

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.errors import InvalidInput
from renderctl.core.jobs import Attempt, Job, Output
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel, pause, retry
from renderctl.farm.jobs.status import invalidate, jobs, status
from tests.caches import let_redis_age
from tests.fakes import FakeClock
from tests.farms import ACTOR, given_job, given_model, given_worker

FIXED = {
    "id", "name", "state", "model", "project", "owner", "pool", "priority", "tasks", "progress", "eta_seconds",
    "created_at", "started_at", "finished_at", "error", "waiting_reason", "outputs",
}  # fmt: skip


@pytest.fixture
def farm(quiet: Farm) -> Farm:
    return quiet


def given_running(farm: Farm, job: Job, name: str = "w1") -> Attempt:
    attempt = farm.repository.attempts.claim(job.id, given_worker(farm, name)).attempts[0]
    assert farm.repository.attempts.start(attempt)
    return attempt


def complete(farm: Farm, attempt: Attempt, seconds: float) -> None:
    output = Output(f"{attempt.frame:04d}.png", "a" * 64, 1, 4, 4, attempt.frame, None, attempt.number)
    farm.repository.attempts.complete(attempt, [output], Cost(seconds))


def test_the_document_has_the_fields_that_programs_rely_on(farm: Farm) -> None:
    job = given_job(farm, "1-3", name="shot 12", project="film")
    document = status(farm, ACTOR, job.id)
    assert set(document) >= FIXED
    assert set(document["tasks"]) == {"total", "blocked", "queued", "running", "succeeded", "failed", "canceled"}
    assert (document["name"], document["project"], document["owner"]) == ("shot 12", "film", "ada")
    assert (document["model"], document["state"], document["tasks"]["total"]) == ("shot@1", "queued", 3)
    assert document["created_at"] == "2026-01-01T00:00:00.000000Z"
    assert [document["started_at"], document["finished_at"], document["eta_seconds"], document["error"]] == [None] * 4


def test_progress_and_time_left_come_from_what_the_frames_took(farm: Farm) -> None:
    job = given_job(farm, "1-4")
    complete(farm, given_running(farm, job), seconds=10.0)
    given_running(farm, job)
    document = status(farm, ACTOR, job.id, cached=False)
    assert (document["progress"], document["eta_seconds"], document["outputs"]) == (0.25, 30.0, 1)


def test_two_frames_at_a_time_halve_the_time_that_is_left(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    complete(farm, given_running(farm, job), seconds=10.0)
    given_running(farm, job, "w1")
    given_running(farm, job, "w2")
    assert status(farm, ACTOR, job.id, cached=False)["eta_seconds"] == 20.0


def test_a_quick_answer_comes_from_the_cache_and_what_people_do_is_seen_at_once(farm: Farm) -> None:
    job = given_job(farm)
    assert status(farm, ACTOR, job.id)["state"] == "queued"
    farm.repository.jobs.pause(job.id, actor=ACTOR)  # behind the back of the cache
    assert status(farm, ACTOR, job.id)["state"] == "queued"
    invalidate(farm, job.id)
    assert status(farm, ACTOR, job.id)["state"] == "paused"
    cancel(farm, ACTOR, job.id)
    assert status(farm, ACTOR, job.id)["state"] == "canceled"
    retry(farm, ACTOR, job.id)
    assert status(farm, ACTOR, job.id)["state"] == "running"


def test_a_cached_answer_is_no_older_than_two_seconds(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm)
    status(farm, ACTOR, job.id)
    farm.repository.jobs.pause(job.id, actor=ACTOR)
    clock.advance(seconds=2.1)
    if farm.settings.cache.kind == "redis":
        let_redis_age(farm.settings.cache.url or "", 2.1)
    assert status(farm, ACTOR, job.id)["state"] == "paused"


def test_jobs_are_listed_newest_first_and_by_state(farm: Farm) -> None:
    model = given_model(farm)
    first, second = (given_job(farm, model=model, name=name) for name in ("first", "second"))
    pause(farm, ACTOR, first.id)
    assert [each["id"] for each in jobs(farm, ACTOR)] == [second.id, first.id]
    assert [each["id"] for each in jobs(farm, ACTOR, ["paused"])] == [first.id]
    with pytest.raises(InvalidInput, match="never 'paussed'"):
        jobs(farm, ACTOR, ["paussed"])
