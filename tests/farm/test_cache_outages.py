"""Redis is flushed, killed or frozen while the farm works: answers come slower, and nothing else changes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from renderctl.caches.redis import RedisCache
from renderctl.core.clocks import SystemClock
from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.logs import logs
from renderctl.farm.jobs.status import status
from tests.fake_blender import FakeExecutor, held
from tests.farms import ACTOR, at_work, close, given_job, make_farm, wait_for
from tests.services import Redis, running
from tests.services.fixtures import require

pytestmark = pytest.mark.services


def flush(server: Redis) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()


@pytest.fixture
def server() -> Iterator[Redis]:
    require(Redis)
    with running(Redis) as server:
        yield server


@pytest.fixture
def farm(tmp_path: Path, server: Redis, executor: FakeExecutor) -> Iterator[Farm]:
    farm = make_farm(tmp_path, executor=executor, cache=RedisCache(server.url, SystemClock()))
    yield farm
    close(farm)


@pytest.mark.parametrize("injure", [flush, Redis.kill, Redis.freeze], ids=["flushed", "killed", "frozen"])
def test_whatever_becomes_of_the_cache_every_frame_is_rendered_once_and_the_answers_are_true(
    farm: Farm, executor: FakeExecutor, server: Redis, injure: Callable[[Redis], None]
) -> None:
    executor.behaviours[5] = held
    job = given_job(farm, "1-40")
    with at_work(farm, slots=1):
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded >= 4)
        assert status(farm, ACTOR, job.id)["state"] == "running"
        injure(server)
        # Within the heartbeat limit of a second the worker would be given up if the cache had held its heart.
        give_up = farm.clock.monotonic() + 2.5
        wait_for(farm, lambda: farm.clock.monotonic() > give_up)
        assert status(farm, ACTOR, job.id)["tasks"]["succeeded"] == 4
        assert "frame 5" in next(logs(farm, ACTOR, job.id)).text
        executor.gate.set()
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED)
    assert status(farm, ACTOR, job.id, cached=False)["outputs"] == 40
    assert {attempt.state for attempt in farm.repository.attempts.of_job(job.id)} <= {
        AttemptState.SUCCEEDED,
        AttemptState.RELEASED,
    }
    assert sorted(executor.rendered) == list(range(1, 41))
