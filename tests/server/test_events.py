"""Events: what changes is told as it does, to those who may see it, and the database is asked once for all."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from renderctl.core.actors import Role
from renderctl.farm.change_feed import ChangeFeed
from tests.farms import ACTOR, given_job, given_model, work_off
from tests.server.conftest import Served
from tests.server.live import listening


def read(lines: Iterator[str], until: Any) -> list[tuple[str, dict[str, Any]]]:
    """The events of an answer, up to one that is waited for."""
    found, kind = [], ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        if line.startswith("data: "):
            found.append((kind, json.loads(line.removeprefix("data: "))))
            if until(*found[-1]):
                return found
    raise AssertionError(f"it ended before: {found}")


def test_a_job_is_followed_to_its_end(served: Served) -> None:
    job = given_job(served.farm, "1-3")
    ada = served.person("ada", Role.ADMIN)
    with (
        listening(served.farm) as url,
        httpx2.Client(headers=ada, timeout=30) as client,
        client.stream("GET", f"{url}/api/v1/events?job={job.id}") as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "event: job"
        work_off(served.farm)
        found = read(lines, lambda kind, told: kind == "job" and told["state"] == "succeeded")
    assert found[-1][1]["outputs"] == 3


def test_what_changes_is_told_once_and_what_does_not_is_not(served: Served) -> None:
    given_job(served.farm, "1-2", name="old")
    changes = ChangeFeed(served.farm)
    assert changes.look() == []
    job = given_job(served.farm, "1-2", name="new")
    assert [(each.kind, each.told["name"]) for each in changes.look()] == [("job", "new")]
    assert changes.look() == []
    served.farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert [(each.kind, each.told["state"]) for each in changes.look()] == [("job", "canceled")]
    served.farm.repository.jobs.remove(job.id, actor=ACTOR, dry_run=False)
    assert [each.kind for each in changes.look()] == ["removed"]


def test_outputs_are_told_as_they_are_published(served: Served) -> None:
    given_job(served.farm, "4-5")
    changes = ChangeFeed(served.farm)
    changes.look()
    work_off(served.farm)
    told = [each for each in changes.look() if each.kind == "output"]
    assert [each.told["frame"] for each in told] == [4, 5]
    assert [each for each in changes.look() if each.kind == "output"] == []


def test_who_may_not_see_a_job_is_not_told_of_it(served: Served) -> None:
    given_model(served.farm)
    eve = served.person("eve", Role.ARTIST, "games")
    job = given_job(served.farm, "1-3")
    assert served.client.get(f"/api/v1/events?job={job.id}", headers=eve).status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("followers", [200])
def test_many_follow_one_job_and_all_hear_of_its_end(served: Served, followers: int) -> None:
    job = given_job(served.farm, "1-2")
    people = [served.person(f"ada{number}", Role.ADMIN) for number in range(4)]
    with listening(served.farm) as url:
        limits = httpx2.Limits(max_connections=followers)
        with httpx2.Client(timeout=30, limits=limits) as client:
            address = f"{url}/api/v1/events?job={job.id}"
            streams = [client.stream("GET", address, headers=people[number % 4]) for number in range(followers)]
            responses = [stream.__enter__() for stream in streams]
            work_off(served.farm)
            for response in responses:
                read(response.iter_lines(), lambda kind, told: kind == "job" and told["state"] == "succeeded")
            for stream in streams:
                stream.__exit__(None, None, None)
