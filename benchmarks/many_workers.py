"""Two thousand workers and a million tasks on real services: the rate, its cost, and whether a small job gets through.

The workers are real ones, in eight processes; only their Blender is missing, and a frame takes as long as it is told.
"""

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psutil
from sqlalchemy import func, select, text

from benchmarks.against_celery import simulated
from benchmarks.services import service_site
from renderctl.farm.submit import SubmitRequest, submit
from renderctl.repository.tables import attempts, jobs
from renderctl.states import OPEN_ATTEMPT
from tests.farms import ACTOR, given_model

_PROCESSES = 8
_HUGE = 500_000
_SMALL = 50
_WATCH_S = 60.0
#: Connections of each process, which all of its workers share: each node has two or three of its own, nearly idle.
_CONNECTIONS = 6


def main() -> None:
    for workers, frame_s, beat_s in ((96, 5.0, 5.0), (400, 20.0, 5.0), (2_000, 120.0, 15.0)):
        print(f"{workers} workers, a beat in {beat_s:g} s, frames of {frame_s:g} s, two jobs of {_HUGE}", flush=True)
        _crowd(workers, frame_s, beat_s)


def _crowd(workers: int, frame_s: float, beat_s: float) -> None:
    with service_site() as site, ExitStack() as stack:
        farm = stack.enter_context(site.farm())
        model = given_model(farm)
        shared = replace(site, database_url=f"{site.database_url}?connections={_CONNECTIONS}")
        began = time.perf_counter()
        crews = [
            stack.enter_context(simulated(shared, workers // _PROCESSES, f"crew{number}", frame_s, beat_s=beat_s))
            for number in range(_PROCESSES)
        ]
        print(f"{workers} workers registered in {time.perf_counter() - began:.1f} s", flush=True)
        started = time.perf_counter()
        _submit(farm, model, _HUGE)
        print(f"a job of {_HUGE} tasks: submitted in {time.perf_counter() - started:.1f} s", flush=True)
        _say_how_slots_fill(farm, workers, started)
        _submit(farm, model, _HUGE)
        _say_rate(farm, _WATCH_S)
        _say_small_ones(farm, model)
        memory = [psutil.Process(crew.pid).memory_info().rss / 1e6 for crew in crews]
        print(f"memory: {sum(memory) / workers:.1f} MB a worker ({max(memory):.0f} MB the largest process)")
        for crew in crews:
            crew.kill()


def _submit(farm: Any, model: Any, frames: int) -> str:
    return submit(farm, model, SubmitRequest(frames=f"1-{frames}"), actor=ACTOR).job.id


def _say_how_slots_fill(farm: Any, workers: int, started: float) -> None:
    held = select(func.count()).select_from(attempts).where(attempts.c.state.in_(OPEN_ATTEMPT))
    while farm.repository.read(lambda connection: connection.scalar(held)) < workers:
        time.sleep(0.05)
    span = select(func.min(attempts.c.claimed_at), func.max(attempts.c.claimed_at))
    first, last = farm.repository.read(lambda connection: connection.execute(span).one())
    print(
        f"{workers} idle slots filled from one job: {(last - first).total_seconds():.2f} s from the first claim to the "
        f"last, {time.perf_counter() - started:.2f} s with the submission",
        flush=True,
    )


def _say_rate(farm: Any, seconds: float) -> None:
    before = _counted(farm)
    farm.clock.wait(None, seconds)
    after = _counted(farm)
    spent = {name: after[name] - before[name] for name in after}
    print(
        f"in {seconds:.0f} s: {spent['succeeded'] / seconds:.1f} frames/s, "
        f"database {spent['Questions'] / seconds:.0f} statements/s, {spent['Com_commit'] / seconds:.0f} commits/s",
        flush=True,
    )


def _counted(farm: Any) -> dict[str, int]:
    query = select(func.count()).select_from(attempts).where(attempts.c.state == "succeeded")
    status = text("SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Com_commit')")

    def reading(connection: Any) -> dict[str, int]:
        values = {name: int(value) for name, value in connection.execute(status)}
        return {**values, "succeeded": connection.scalar(query)}

    return farm.repository.read(reading)


def _say_small_ones(farm: Any, model: Any) -> None:
    """Small jobs while all slots are busy with huge ones: until their first frame is claimed."""
    ids = []
    for _ in range(5):
        ids.append(_submit(farm, model, _SMALL))
        farm.clock.wait(None, 3.0)
    first = (
        select(jobs.c.created_at, func.min(attempts.c.claimed_at))
        .join(attempts, attempts.c.job_id == jobs.c.id)
        .where(jobs.c.id.in_(ids))
        .group_by(jobs.c.id, jobs.c.created_at)
    )
    give_up = farm.clock.monotonic() + 60
    while True:
        rows = farm.repository.read(lambda connection: connection.execute(first).all())
        if len(rows) == len(ids) or farm.clock.monotonic() > give_up:
            break
        farm.clock.wait(None, 0.2)
    waits = [(claimed - created).total_seconds() for created, claimed in rows]
    listed = ", ".join(f"{each:.2f}" for each in waits)
    print(
        f"small jobs of {_SMALL} frames: first frame claimed after {listed} s ({len(rows)} of {len(ids)}; aim 5)",
        flush=True,
    )
