"""Tasks that do nothing, until the last result: our farm beside Celery, on the same broker and database."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pymysql
from celery import Celery
from sqlalchemy.engine import make_url

from benchmarks.services import Site, service_site
from renderctl.core.states import ENDED_JOB
from renderctl.farm.jobs.submit import SubmitRequest, submit
from tests.farms import ACTOR, given_model

_TASKS = 3000
_PROCESSES = (1, 4, 16)
_LOOK_EVERY_S = 0.02
_TASK = "benchmarks.celery_tasks.render_nothing"


def main() -> None:
    for processes in _PROCESSES:
        with service_site() as site:
            theirs = _celery(site, processes)
        with service_site() as site:
            ours = _farm(site, processes)
        print(
            f"{processes:2d} worker processes, {_TASKS} tasks: renderctl {ours:.0f} lifecycles/s, "
            f"Celery {theirs:.0f}/s: {ours / theirs:.2f} times (aim above 1, and 500/s)",
            flush=True,
        )


def _farm(site: Site, processes: int) -> float:
    """Lifecycles a second, from before the submission to the job's end."""
    with ExitStack() as stack:
        for number in range(processes):
            stack.enter_context(real_worker(site, f"node{number}"))
        farm = stack.enter_context(site.farm())
        model = given_model(farm)
        started = time.perf_counter()
        job = submit(farm, ACTOR, model, SubmitRequest(frames=f"1-{_TASKS}")).job
        while farm.repository.jobs.get(job.id).state not in ENDED_JOB:
            time.sleep(_LOOK_EVERY_S)
        return _TASKS / (time.perf_counter() - started)


@contextmanager
def real_worker(site: Site, name: str) -> Iterator[None]:
    """A process with a worker that is at work, without Blender; told to leave at the end."""
    command = [sys.executable, "-m", "benchmarks.real_worker", name]
    environment = {**os.environ, **site.environment(name)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{name} did not begin to work: it ended with {process.wait()}")
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(120)


def _celery(site: Site, processes: int) -> float:
    """Lifecycles a second, from before the first message to the last result in the database."""
    with Celery(broker=site.broker_url, backend="db+" + site.database_url) as app, _celery_worker(site, processes):
        app.conf.task_default_queue = "bench"
        while not app.control.ping(timeout=1.0):
            pass
        app.send_task(_TASK, (0,)).get(timeout=60)
        started = time.perf_counter()
        for frame in range(1, _TASKS + 1):
            app.send_task(_TASK, (frame,))
        while _results(site) <= _TASKS:
            time.sleep(_LOOK_EVERY_S)
        return _TASKS / (time.perf_counter() - started)


@contextmanager
def _celery_worker(site: Site, processes: int) -> Iterator[None]:
    environment = {"BENCH_BROKER": site.broker_url, "BENCH_DATABASE": site.database_url}
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_tasks", "worker", "-c", str(processes)]
    process = subprocess.Popen(
        [*command, "-l", "ERROR"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _results(site: Site) -> int:
    url = make_url(site.database_url)
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "", database=url.database
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM celery_taskmeta WHERE status = 'SUCCESS'")
        return int(cursor.fetchone()[0])
