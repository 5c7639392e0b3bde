"""`status` from Redis and from MySQL: whole processes, and the answer alone, for a small job and for a huge one.

Needs servers: `python -m tests.services -- python -m benchmarks status`.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.farms import ACTOR, given_job, given_model
from benchmarks.timing import PYTHON, empty_folder, in_turn
from renderctl.core.settings import CacheSettings, DatabaseSettings, Settings
from renderctl.farm.jobs.status import status
from renderctl.wiring import open_farm
from tests.fakes import ForgetfulCache
from tests.services import MariaDb, Redis
from tests.services.fresh import fresh_mysql, fresh_redis

_TASKS = {"240 tasks": 240, "100,000 tasks": 100_000}


def main() -> None:
    if not {MariaDb.variable, Redis.variable} <= os.environ.keys():
        print("  left out: it needs servers (python -m tests.services -- python -m benchmarks status)")
        return
    with ExitStack() as stack:
        folder = stack.enter_context(empty_folder())
        mysql = stack.enter_context(fresh_mysql(os.environ[MariaDb.variable]))
        cache = CacheSettings("redis", stack.enter_context(fresh_redis(os.environ[Redis.variable])))
        settings = Settings(folder, DatabaseSettings(mysql), cache=cache)
        farm = open_farm(settings)
        model = given_model(farm)
        jobs = {name: given_job(farm, model, f"1-{count}").id for name, count in _TASKS.items()}
        _answers(farm, jobs)
        _processes(folder, settings, jobs["240 tasks"])


def _answers(farm: Any, jobs: dict[str, str]) -> None:
    """In one process, with connections that are open."""
    uncached = replace(farm, cache=ForgetfulCache())
    for name, job_id in jobs.items():
        status(farm, ACTOR, job_id)
        redis_s = _median(partial(status, farm, ACTOR, job_id))
        mysql_s = _median(partial(status, uncached, ACTOR, job_id))
        ratio = f"{mysql_s / redis_s:.0f} times as long"
        print(f"  {name:14} from Redis {redis_s * 1e3:.2f} ms, from MySQL {mysql_s * 1e3:.2f} ms: {ratio}")


def _median(ask: Callable[[], Any]) -> float:
    """Seconds; for a second and a half, in which a copy is young."""
    taken = []
    give_up = time.perf_counter() + 1.5
    while time.perf_counter() < give_up:
        started = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _processes(folder: Path, settings: Settings, job_id: str) -> None:
    """`renderctl status`: a young copy is there for the first; the second asks the database."""
    common = {"RENDERCTL_CONFIG": "", "RENDERCTL_DATA_DIR": str(folder)}
    common |= {"RENDERCTL_DATABASE__URL": settings.database.url or "", "RENDERCTL_CACHE__KIND": "redis"}
    here = {**common, "RENDERCTL_CACHE__URL": settings.cache.url or ""}
    away = {**common, "RENDERCTL_CACHE__URL": "redis://127.0.0.1:1/0"}
    command = [PYTHON, "-m", "renderctl", "status", job_id]
    warm = [PYTHON, "-c", _WARM, job_id]
    taken = {}
    for name, environment in (("Redis", here), ("MySQL, Redis away", away)):
        ahead = {"put": warm} if name == "Redis" else {}
        taken[name] = in_turn({**ahead, "status": command}, runs=9, environment=environment)["status"]
        print(f"  renderctl status from {name:18} {taken[name]}")
    print(f"  MySQL / Redis: {taken['MySQL, Redis away'].median / taken['Redis'].median:.2f}")


#: Put a copy into the cache, as whoever asked a moment ago has done.
_WARM = "import sys; from renderctl.wiring import connect; connect().status(sys.argv[1], cached=False)"
