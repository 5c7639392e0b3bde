"""Copies of job documents: quick while they are young, checked when they are older, replaced when they are wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from renderctl.caches import Cache
from renderctl.caches.redis import RedisCache
from renderctl.core.attempts import Cost
from renderctl.core.jobs import Job
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel, pause, retry
from renderctl.farm.jobs.status import status
from renderctl.repository import open_repository
from tests.caches import BOTH_CACHES, Age, open_cache
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job, given_worker, make_farm

HOUR_S = 3600.0


@pytest.fixture(params=BOTH_CACHES)
def aged(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Cache, Age]]:
    with open_cache(request, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def age(aged: tuple[Cache, Age]) -> Age:
    return aged[1]


@pytest.fixture
def farm(tmp_path: Path, clock: FakeClock, aged: tuple[Cache, Age]) -> Iterator[Farm]:
    farm = make_farm(tmp_path, clock=clock, cache=aged[0])
    yield farm
    close(farm)


@pytest.fixture
def asked(farm: Farm) -> list[str]:
    """A list that grows with every question to the database."""
    questions: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            questions.append(statement)

    event.listen(farm.repository.database.engine, "before_cursor_execute", note)
    return questions


def copy_of(farm: Farm, job: Job) -> dict[str, Any] | None:
    return farm.cache.get(f"job:{job.id}")


def put(farm: Farm, job: Job, **changes: Any) -> None:
    """What somebody else puts, in the farthest future."""
    document = status(farm, ACTOR, job.id, cached=False) | changes
    farm.cache.put(f"job:{job.id}", document, version=10**17, ttl_s=86_400.0)


def given_ended(farm: Farm) -> Job:
    job = given_job(farm, "1-2")
    for attempt in farm.repository.attempts.claim(job.id, given_worker(farm), limit=2).attempts:
        farm.repository.attempts.start(attempt)
        farm.repository.attempts.complete(attempt, [], Cost(1.0))
    farm.repository.jobs.finish_if_done(job.id)
    return farm.repository.jobs.get(job.id)


def test_a_job_that_the_cache_lacks_comes_from_the_database_and_is_put_there(farm: Farm) -> None:
    job = given_job(farm)
    assert copy_of(farm, job) is None
    document = status(farm, ACTOR, job.id)
    assert document["state"] == "queued"
    assert copy_of(farm, job) == document


def test_a_young_copy_is_the_answer_and_the_database_is_not_asked(farm: Farm, asked: list[str]) -> None:
    job = given_job(farm)
    first = status(farm, ACTOR, job.id)
    asked.clear()
    assert status(farm, ACTOR, job.id) == first
    assert not asked


def test_the_copy_of_an_ended_job_costs_one_look_at_its_row_and_is_young_again(
    farm: Farm, asked: list[str], age: Age
) -> None:
    job = given_ended(farm)
    first = status(farm, ACTOR, job.id)
    age(HOUR_S)
    asked.clear()
    assert status(farm, ACTOR, job.id) == first
    assert len(asked) == 1
    assert status(farm, ACTOR, job.id) == first
    assert len(asked) == 1


@pytest.mark.parametrize("wrong", [{"state": "succeeded"}, {"state": "paused", "priority": 9}, {"id": "another"}])
def test_a_copy_that_is_wrong_about_an_open_job_is_noticed_and_replaced(
    farm: Farm, age: Age, wrong: dict[str, Any]
) -> None:
    job = given_job(farm)
    put(farm, job, **wrong)
    age(2.1)
    document = status(farm, ACTOR, job.id)
    assert (document["id"], document["state"], document["priority"]) == (job.id, "queued", 5)
    assert copy_of(farm, job) == document


def test_a_copy_that_is_wrong_about_an_ended_job_is_noticed_and_replaced(farm: Farm, age: Age) -> None:
    job = given_ended(farm)
    put(farm, job, state="running", finished_at=None)
    age(2.1)
    document = status(farm, ACTOR, job.id)
    assert document["state"] == "succeeded"
    assert copy_of(farm, job) == document


def test_a_job_that_was_tried_again_where_the_cache_was_out_of_reach_is_noticed(farm: Farm, age: Age) -> None:
    job = given_ended(farm)
    assert status(farm, ACTOR, job.id)["state"] == "succeeded"
    farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1])
    age(2.1)
    assert status(farm, ACTOR, job.id)["tasks"]["queued"] == 1
    assert copy_of(farm, job) == status(farm, ACTOR, job.id)


def test_who_read_before_a_deed_and_puts_after_it_comes_too_late(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm)
    before = farm.repository.summaries.get(job.id)
    slow = status(farm, ACTOR, job.id)
    clock.advance(seconds=0.001)
    cancel(farm, ACTOR, job.id)
    farm.cache.put(f"job:{job.id}", slow, version=int(before.at.timestamp() * 1e6), ttl_s=2.0)
    assert status(farm, ACTOR, job.id)["state"] == "canceled"


def test_what_people_do_is_seen_at_once(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm)
    for deed, state in ((pause, "paused"), (cancel, "canceled"), (retry, "running")):
        status(farm, ACTOR, job.id)
        clock.advance(seconds=0.001)
        deed(farm, ACTOR, job.id)
        assert status(farm, ACTOR, job.id)["state"] == state


def test_the_progress_of_a_running_frame_is_as_fresh_as_the_cache_has_it(farm: Farm) -> None:
    job = given_job(farm, "1-2")
    attempt = farm.repository.attempts.claim(job.id, given_worker(farm)).attempts[0]
    farm.repository.attempts.start(attempt)
    assert status(farm, ACTOR, job.id, cached=False)["progress"] == 0.0
    farm.cache.put(f"attempt:{attempt.id}", {"progress": 0.5}, version=500_000, ttl_s=60.0)
    assert status(farm, ACTOR, job.id, cached=False)["progress"] == 0.25


def test_node_clocks_that_are_hours_apart_keep_no_old_copy_alive(
    tmp_path: Path, clock: FakeClock, ready_mysql_url: str, redis_url: str
) -> None:
    ahead = FakeClock()
    ahead.advance(seconds=5 * HOUR_S)
    repository = open_repository(ready_mysql_url, now=ahead.now, heartbeat_limit_s=1.0)
    farms = [
        make_farm(tmp_path, clock=each, cache=RedisCache(redis_url, each), repository=repository)
        for each in (ahead, clock)
    ]
    job = given_job(farms[0])
    for deed, state in ((pause, "paused"), (cancel, "canceled"), (retry, "running")):
        for farm in farms:
            status(farm, ACTOR, job.id)
        deed(farms[1], ACTOR, job.id)
        assert [status(farm, ACTOR, job.id)["state"] for farm in farms] == [state, state]
    for farm in farms:
        close(farm)


def test_a_cache_that_forgets_everything_changes_no_answer(farm: Farm, asked: list[str]) -> None:
    job = given_ended(farm)
    first = status(farm, ACTOR, job.id)
    farm.cache.forget(f"job:{job.id}")
    asked.clear()
    assert status(farm, ACTOR, job.id) == first
    assert asked
    away = replace(farm, cache=RedisCache("redis://127.0.0.1:1/0", farm.clock))
    assert status(away, ACTOR, job.id) == first
