"""Who waits for a job outlives a database that goes away meanwhile, directly and through a server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from renderctl import wiring
from renderctl.farm import Farm
from renderctl.wiring import LocalCommands
from tests.databases import Outage
from tests.fake_blender import FakeExecutor, held
from tests.farms import ACTOR, at_work, given_job, wait_for
from tests.server.live import through_a_server


@pytest.fixture(params=["directly", "through a server"])
def connection(request: pytest.FixtureRequest, farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The verbs, for somebody who waits."""
    if request.param == "directly":
        yield LocalCommands(farm.settings, ACTOR, farm)
        return
    with through_a_server(farm) as told:
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        connection = wiring.connect()
        yield connection
        connection.close()


@pytest.mark.slow
def test_a_job_is_watched_to_its_end_though_the_database_goes_away(
    connection: Any, farm: Farm, executor: FakeExecutor, outage: Outage
) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1-2")
    watched = connection.watch(job.id, stop=threading.Event())
    assert next(watched)["state"] in ("queued", "running")
    with at_work(farm), ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, watched)
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        refused_after_a_while(farm, outage)
        executor.gate.set()
        assert rest.result(60)[-1]["state"] == "succeeded"


@pytest.mark.slow
def test_a_log_is_followed_to_its_end_though_the_database_goes_away(
    connection: Any, farm: Farm, executor: FakeExecutor, outage: Outage
) -> None:
    executor.behaviours[2] = held
    job = given_job(farm, "1-2")
    with at_work(farm), ThreadPoolExecutor(1) as pool:
        parts = pool.submit(lambda: list(connection.follow(job.id, stop=threading.Event())))
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded == 1)
        refused_after_a_while(farm, outage)
        executor.gate.set()
        assert {part.attempt.frame for part in parts.result(60)} == {1, 2}


def refused_after_a_while(farm: Farm, outage: Outage) -> None:
    """The database goes away, is asked in vain for a while, and is back."""
    until = farm.clock.monotonic() + 2.0
    outage.away = True
    wait_for(farm, lambda: farm.clock.monotonic() > until and outage.refused > 6)
    outage.away = False
