"""Who follows the logs of a job misses no frame that runs, however many others there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Attempt, Job
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done
from renderctl.farm.jobs.log_follower import LogFollower
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job, given_worker, make_farm

#: More than are looked at at once.
MANY = 120


@pytest.fixture
def farm(tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    farm = make_farm(tmp_path, clock=clock)
    yield farm
    close(farm)


@pytest.fixture
def job(farm: Farm) -> Job:
    return given_job(farm, "1-300")


def given_running(farm: Farm, job: Job, count: int = 1, worker: str = "w1") -> list[Attempt]:
    attempts = farm.repository.attempts.claim(job.id, given_worker(farm, worker), limit=count).attempts
    for attempt in attempts:
        farm.repository.attempts.start(attempt)
    return list(attempts)


def printed(farm: Farm, attempt: Attempt, text: str, at: int = 0) -> None:
    farm.cache.append(f"log:{attempt.id}", text.encode(), at=at)


def rendered(farm: Farm, attempt: Attempt) -> None:
    """It ran for a moment, and has ended."""
    farm.store.put_log(attempt.id, [f"frame {attempt.number}".encode()])
    farm.repository.attempts.complete(attempt, [], Cost())


def texts(follower: LogFollower, looks: int = 1) -> dict[int, str]:
    """What was read of each task, in some looks."""
    read: dict[int, str] = {}
    for _ in range(looks):
        for part in follower.news():
            read[part.attempt.number] = read.get(part.attempt.number, "") + part.text
    return read


def test_a_frame_that_runs_is_followed_though_others_were_claimed_after_it(farm: Farm, job: Job) -> None:
    (running,) = given_running(farm, job)
    farm.repository.attempts.claim(job.id, given_worker(farm, "w2"), limit=MANY)
    follower = LogFollower(farm, job.id)
    printed(farm, running, "one ")
    assert texts(follower) == {running.number: "one "}
    farm.repository.attempts.claim(job.id, given_worker(farm, "w3"), limit=50)
    printed(farm, running, "two", at=4)
    assert texts(follower) == {running.number: "two"}


@pytest.mark.slow
def test_of_many_frames_that_run_each_is_followed_in_its_turn(farm: Farm, job: Job) -> None:
    attempts = given_running(farm, job, MANY)
    follower = LogFollower(farm, job.id)
    for attempt in attempts:
        printed(farm, attempt, "begun ")
    assert texts(follower, looks=3) == {attempt.number: "begun " for attempt in attempts}
    for attempt in attempts[:100]:
        rendered(farm, attempt)
    rest = texts(follower, looks=3)
    assert rest.keys() == {attempt.number for attempt in attempts[:100]}


@pytest.mark.slow
def test_frames_that_began_and_ended_between_two_looks_are_read(farm: Farm, job: Job) -> None:
    (long_one,) = given_running(farm, job)
    follower = LogFollower(farm, job.id)
    assert texts(follower) == {}
    short = given_running(farm, job, MANY, worker="w2")
    for attempt in reversed(short):
        rendered(farm, attempt)
    read = texts(follower)
    assert follower.has_more
    read |= texts(follower, looks=2)
    assert read == {attempt.number: f"frame {attempt.number}" for attempt in short}
    rendered(farm, long_one)
    assert texts(follower) == {long_one.number: f"frame {long_one.number}"}
    assert texts(follower, looks=3) == {}


@pytest.mark.slow
def test_who_begins_to_follow_reads_what_ended_last_and_then_the_end(farm: Farm, job: Job) -> None:
    attempts = given_running(farm, job, 300)
    for attempt in attempts:
        rendered(farm, attempt)
    finish_job_if_done(farm, job.id)
    follower = LogFollower(farm, job.id)
    last = sorted(attempts, key=lambda attempt: attempt.id)[-50:]
    assert texts(follower).keys() == {attempt.number for attempt in last}
    assert follower.over


def test_what_still_runs_when_its_job_is_canceled_is_no_reason_to_wait(farm: Farm, job: Job) -> None:
    given_running(farm, job, MANY)
    follower = LogFollower(farm, job.id)
    texts(follower, looks=3)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    follower.news()
    assert follower.over
