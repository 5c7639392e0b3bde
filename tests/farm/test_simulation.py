"""The simulated workers of the benchmarks: they ask for what real ones ask for, and finish what they are given."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event, func, select

from benchmarks.services import Site
from benchmarks.simulation.fleet import FleetPlan, fleet
from benchmarks.simulation.process import at_work, surroundings
from benchmarks.simulation.worker import Surroundings
from renderctl.core.settings import (
    CacheSettings,
    DatabaseSettings,
    QueueSettings,
    Settings,
    StoreSettings,
    WorkerSettings,
)
from renderctl.core.states import ENDED_JOB, AttemptState, JobState, WorkerState
from renderctl.farm import Farm
from renderctl.repository.schema.jobs import attempts, outputs, workers
from tests.fake_blender import FakeBlender, FakeExecutor, rendered
from tests.farms import at_work as working
from tests.farms import close, given_job, make_farm, wait_for

pytestmark = [pytest.mark.services, pytest.mark.slow]

FRAME_S, FRAMES = 0.3, 8
#: Calls whose number is that of the frames and workers, and says nothing of time.
COUNTED = {
    *(f"repository.attempts.{verb}" for verb in ("claim", "start", "complete_all")),
    *(f"repository.models.{verb}" for verb in ("get", "inputs")),
    *(f"repository.workers.{verb}" for verb in ("register", "deregister")),
    *("repository.jobs.inputs", "repository.deliveries.release_lease", "repository.recovery.release_sweep_lease"),
    "queue.put",
}
#: Calls that are made again and again while time goes by.
REPEATED = (
    *("repository.workers.heartbeat", "repository.recovery.acquire_sweep_lease", "repository.deliveries.due_webhooks"),
    *("cache.put", "cache.append"),
)
#: Calls that a run may do without: two may find out at the same time that the job is done.
BY_CHANCE = {"cache.forget", "repository.time", "repository.jobs.dependents"}
#: That there is no more to claim is noted by whoever serves the job, or later, by whoever finds it unlocked.
STATEMENTS_BY_CHANCE = ("SELECT job.claimable_at", "UPDATE job SET claimable_at")


@dataclass
class Asked:
    """What a worker has asked of the ports."""

    calls: Counter[str] = field(default_factory=Counter)
    statements: set[str] = field(default_factory=set)
    seconds: float = 0.0  #: that it has worked

    def by(self, farm: Farm) -> Farm:
        """The farm, whose calls are noted."""
        ports = {name: Recorded(name, getattr(farm, name), self.calls) for name in ("repository", "queue", "cache")}
        return replace(farm, **cast(dict[str, Any], ports))

    def listen(self, farm: Farm) -> None:
        """Note its statements from now on."""

        @event.listens_for(farm.repository.database.engine, "before_cursor_execute")
        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            self.statements.add(re.sub(r"%\(\w+\)s(, %\(\w+\)s)*", "…", statement))

    @property
    def has_been_idle(self) -> bool:
        return self.calls["repository.attempts.claimable_jobs"] >= 2


class Recorded:
    """A port whose calls are counted."""

    def __init__(self, name: str, port: Any, calls: Counter[str]) -> None:
        self._name, self._port, self._calls = name, port, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return Recorded(f"{self._name}.{name}", method, self._calls)

        @wraps(method)
        def call(*arguments: Any, **more: Any) -> Any:
            self._calls[f"{self._name}.{name}"] += 1
            return method(*arguments, **more)

        return call


@pytest.fixture
def site(tmp_path: Path, ready_mysql_url: str, rabbitmq_url: str, redis_url: str) -> Site:
    return Site(tmp_path, ready_mysql_url, rabbitmq_url, redis_url, StoreSettings())


def farm_of(site: Site, name: str) -> Farm:
    folder = site.folder / name
    settings = Settings(
        folder,
        database=DatabaseSettings(site.database_url),
        queue=QueueSettings("rabbitmq", site.broker_url),
        cache=CacheSettings("redis", site.cache_url),
        worker=WorkerSettings(heartbeat=0.2, heartbeat_limit=2.0, quantum=6000.0),
    )
    return make_farm(folder, settings=settings, executor=FakeExecutor(behaviours=dict.fromkeys(range(99), slowly)))


def slowly(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """A frame that takes a while, and says how far it is."""

    def render() -> None:
        for sample in range(1, 6):
            blender.stopped.wait(FRAME_S / 6)
            blender.print(f"Sample {sample}/6")
            blender.emit("progress", task=order["task"], fraction=sample / 6)
        blender.stopped.wait(FRAME_S / 6)
        rendered(blender, order, seconds=30.0)

    threading.Thread(target=render).start()


def asked_by_a_real_worker(site: Site) -> Asked:
    asked, farm = Asked(), farm_of(site, "real")
    job = given_job(farm, f"1-{FRAMES}")
    asked.listen(farm)
    began = farm.clock.monotonic()
    with working(asked.by(farm)):
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state in ENDED_JOB and asked.has_been_idle)
        asked.seconds = farm.clock.monotonic() - began
    close(farm)
    return asked


def asked_by_a_simulated_worker(site: Site) -> Asked:
    asked, farm = Asked(), farm_of(site, "simulated")
    job = given_job(farm, f"1-{FRAMES}")
    asked.listen(farm)

    async def work(around: Surroundings) -> None:
        began = farm.clock.monotonic()
        async with at_work(around, ["w1"]):
            while not (farm.repository.jobs.get(job.id).state in ENDED_JOB and asked.has_been_idle):
                await asyncio.sleep(0.02)
            asked.seconds = farm.clock.monotonic() - began

    with surroundings(farm, 4, lambda: FRAME_S) as around:
        queue = cast(Any, Recorded("queue", around.queue, asked.calls))
        asyncio.run(work(replace(around, farm=asked.by(around.farm), queue=queue)))
    close(farm)
    return asked


def test_a_simulated_worker_asks_what_a_real_one_asks(site: Site, mysql_url: str) -> None:
    real, simulated = asked_by_a_real_worker(site), asked_by_a_simulated_worker(replace(site, database_url=mysql_url))
    different = simulated.statements ^ real.statements
    assert not {statement for statement in different if not statement.startswith(STATEMENTS_BY_CHANCE)}
    own = {"queue.call_back", "cache.send"}  # of the simulation
    assert simulated.calls.keys() - own - BY_CHANCE == real.calls.keys() - BY_CHANCE
    assert {name: simulated.calls[name] for name in COUNTED} == {name: real.calls[name] for name in COUNTED}
    for name in REPEATED:
        rate = simulated.calls[name] / simulated.seconds / (real.calls[name] / real.seconds)
        assert 1 / 3 < rate < 3, f"{name}: {rate:.2f} times as often"


def test_twenty_simulated_workers_finish_every_task_once(site: Site) -> None:
    farm = farm_of(site, "here")
    with fleet(site, FleetPlan(20, (0.01, 0.05), heartbeat_s=1.0, processes=2)) as simulated:
        job = given_job(farm, "1-500")
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state in ENDED_JOB, within_s=60)
        times = simulated.take_times()
        simulated.leave()
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    tries = select(attempts.c.number, attempts.c.state, outputs.c.frame).join(
        outputs, outputs.c.attempt_id == attempts.c.id
    )
    with farm.repository.database.engine.begin() as connection:
        rows = sorted(connection.execute(tries).all())
        states = set(connection.scalars(select(workers.c.state)))
        assert connection.scalar(select(func.count()).select_from(attempts)) == 500
    assert rows == [(number, AttemptState.SUCCEEDED, number) for number in range(1, 501)]
    assert states == {WorkerState.GONE}
    assert len(times.seconds["Attempts.complete_all"]) == 500
    assert not times.errors
    close(farm)
