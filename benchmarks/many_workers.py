"""Thousands of workers and a million tasks on real MariaDB, RabbitMQ and Redis: what they ask, and what that costs.

The workers are simulated, see `benchmarks.simulation`: with the servers on one machine they share its processors, so
only the processor time of a server, and no time on the clock, says what that server would do on a machine of its own.
Needs servers: `python -m tests.services -- python -m benchmarks many_workers`.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from benchmarks.farms import ACTOR, given_model
from benchmarks.services import service_site
from benchmarks.simulation.calls import CallTimes
from benchmarks.simulation.fleet import Fleet, FleetPlan, fleet
from benchmarks.simulation.servers import ServerCounters, Servers
from renderctl.core.models import Model
from renderctl.core.states import OPEN_ATTEMPT
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.repository.schema.jobs import attempts, jobs

_SMALL, _SMALL_JOBS = 50, 5
#: Seconds until a small job counts as starved, and idle slots as never filled.
_PATIENCE_S = 120.0
#: What a call is for, in the order in which it is listed.
_CALLS = (
    *("Workers.heartbeat", "sweep", "Attempts.claimable_jobs", "Attempts.claim", "Attempts.start"),
    *("Attempts.complete_all", "finish_job_if_done", "Deliveries.acquire_lease"),
)


def main(arguments: Sequence[str] = ()) -> None:
    options = _options(arguments)
    plan = FleetPlan(
        options.workers,
        (options.render[0], options.render[1]),
        options.heartbeat,
        options.processes,
        options.threads,
    )
    print(
        f"{plan.workers} workers in {plan.processes} processes, a heartbeat in {plan.heartbeat_s:g} s, "
        f"frames of {plan.render_s[0]:g} to {plan.render_s[1]:g} s, two jobs of {options.tasks // 2:,} tasks",
        flush=True,
    )
    with service_site(bucket=False) as site, site.farm() as farm:
        model, servers = given_model(farm), Servers(site, farm)
        began = time.perf_counter()
        with fleet(site, plan) as workers:
            print(f"registered in {time.perf_counter() - began:.1f} s", flush=True)
            Measurement(farm, model, servers, workers, plan).run(options.tasks, options.seconds)
            workers.kill()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks many_workers")
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=20_000, help="of two jobs together")
    parser.add_argument("--seconds", type=float, default=15.0, help="for which idle, and busy, workers are watched")
    parser.add_argument("--heartbeat", type=float, default=5.0, help="seconds from one to the next")
    parser.add_argument("--render", type=float, nargs=2, default=(10.0, 60.0), help="seconds of a frame, from and to")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=6, help="of each process, with a database connection each")
    return parser.parse_args(arguments)


class Measurement:
    """What is measured, one thing after the other."""

    def __init__(self, farm: Farm, model: Model, servers: Servers, workers: Fleet, plan: FleetPlan) -> None:
        self._farm = farm
        self._model = model
        self._servers = servers
        self._fleet = workers
        self._plan = plan

    def run(self, tasks: int, seconds: float) -> None:
        self._watch("idle", seconds)
        self._fill(tasks // 2)
        self._submit(tasks - tasks // 2)
        self._watch("busy", seconds)
        self._start_small_jobs()
        memory = [process.memory_info().rss / 1e6 for process in self._fleet.processes]
        print(
            f"memory: simulation {sum(memory):.0f} MB in {len(memory)} processes, "
            + ", ".join(f"{name} {used:.0f} MB" for name, used in self._servers.counters().memory_mb.items()),
            flush=True,
        )

    def _watch(self, name: str, seconds: float) -> None:
        """Let the workers be as they are, and say what that costs."""
        self._fleet.take_times()
        servers, own, began = self._servers.counters(), self._simulation_cpu_s(), time.perf_counter()
        time.sleep(seconds)
        spent, took = self._servers.counters().since(servers), time.perf_counter() - began
        own = self._simulation_cpu_s() - own
        print(f"{name}, {took:.0f} s:")
        print_servers(spent, took, own)
        print_calls(self._fleet.take_times(), took)

    def _fill(self, frames: int) -> None:
        """A job comes, and all slots are idle."""
        held = select(func.count()).select_from(attempts).where(attempts.c.state.in_(OPEN_ATTEMPT))
        span = select(func.min(attempts.c.claimed_at), func.max(attempts.c.claimed_at))
        workers, repository = self._plan.workers, self._farm.repository
        began, servers = time.perf_counter(), self._servers.counters()
        job_id = self._submit(frames)
        give_up = time.perf_counter() + _PATIENCE_S
        while (count := repository.database.read(lambda connection: connection.scalar(held) or 0)) < workers:
            if time.perf_counter() > give_up:
                print(f"only {count} slots of {workers} were ever filled at a time")
                break
            time.sleep(0.1)
        took, spent = time.perf_counter() - began, self._servers.counters().since(servers)
        first, last = repository.database.read(lambda connection: connection.execute(span).one())
        submitted = repository.jobs.get(job_id).created_at
        print(
            f"{workers} idle slots filled by a job of {frames:,}: {(last - first).total_seconds():.2f} s from the "
            f"first claim to the last, {(last - submitted).total_seconds():.2f} s from the beginning of the submission"
        )
        print_servers(spent, took)
        print_calls(self._fleet.take_times(), took)

    def _submit(self, frames: int) -> str:
        began = time.perf_counter()
        job = submit(self._farm, ACTOR, self._model, SubmitRequest(frames=f"1-{frames}")).job
        if frames > _SMALL:
            print(f"a job of {frames:,} tasks: submitted in {time.perf_counter() - began:.1f} s", flush=True)
        return job.id

    def _start_small_jobs(self) -> None:
        """Small jobs while all slots are busy with huge ones: until their first frame is claimed."""
        ids = []
        for _ in range(_SMALL_JOBS):
            ids.append(self._submit(_SMALL))
            time.sleep(2.0)
        first = (
            select(jobs.c.created_at, func.min(attempts.c.claimed_at))
            .join(attempts, attempts.c.job_id == jobs.c.id)
            .where(jobs.c.id.in_(ids))
            .group_by(jobs.c.id, jobs.c.created_at)
        )
        give_up = time.perf_counter() + _PATIENCE_S
        rows: Sequence[Any] = ()
        while len(rows) < len(ids) and time.perf_counter() < give_up:
            rows = self._farm.repository.database.read(lambda connection: connection.execute(first).all())
            time.sleep(0.2)
        waits = sorted((claimed - created).total_seconds() for created, claimed in rows)
        listed = ", ".join(f"{wait:.2f}" for wait in waits)
        print(f"small jobs beside them: first frame claimed after {listed} s ({len(rows)} of {len(ids)}; aim 5)")

    def _simulation_cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._fleet.processes)


def print_servers(spent: ServerCounters, seconds: float, simulation_s: float | None = None) -> None:
    cpu = {**spent.cpu_s, **({"simulation": simulation_s} if simulation_s is not None else {})}
    database = spent.database
    print(
        f"  statements {database['Questions'] / seconds:.0f}/s, commits {database['Com_commit'] / seconds:.0f}/s, "
        f"redo {database['Innodb_os_log_written'] / seconds / 1e3:.0f} kB/s, "
        f"waits for a row's lock {database['Innodb_row_lock_waits'] / seconds:.1f}/s of "
        f"{database['Innodb_row_lock_time'] / max(1, database['Innodb_row_lock_waits']):.0f} ms; "
        f"Redis commands {spent.commands / seconds:.0f}/s"
    )
    print("  cores used: " + ", ".join(f"{name} {used / seconds:.2f}" for name, used in cpu.items()), flush=True)


def print_calls(times: CallTimes, seconds: float) -> None:
    """A line a kind of call: how many a second, and how long they took with the client's part of it."""
    for name in sorted(times.seconds, key=lambda name: (name not in _CALLS, name)):
        taken = sorted(times.seconds[name])
        print(
            f"  {name:24} {len(taken) / seconds:7.1f}/s  median {_ms(taken, 0.5):7.1f}  p99 {_ms(taken, 0.99):7.1f}  "
            f"longest {_ms(taken, 1.0):7.1f} ms"
        )
    waits = sorted(times.waits)
    print(f"  waiting for a thread of the simulation: p99 {_ms(waits, 0.99):.1f} ms", flush=True)
    for error, count in sorted(times.errors.items()):
        print(f"  {count} times {error}")


def _ms(taken: Sequence[float], share: float) -> float:
    return 1e3 * taken[min(int(len(taken) * share), len(taken) - 1)] if taken else 0.0
