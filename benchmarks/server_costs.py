"""What a call of a worker, and a connection, costs the servers: processor time and memory of their processes.

One call at a time, so that nobody waits for a lock.
Needs servers on this machine: `python -m tests.services -- python -m benchmarks server_costs`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

import pika
import redis

from benchmarks.farms import ACTOR, given_model
from benchmarks.services import Site, service_site
from benchmarks.simulation.followers import PRINTED
from benchmarks.simulation.servers import Servers
from benchmarks.simulation.worker import CAPABILITIES, result_of
from renderctl.core.attempts import Claimant, Completion, Cost
from renderctl.core.jobs import Attempt
from renderctl.core.states import WorkerState
from renderctl.core.workers import Heartbeat, Worker
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.queues import Ticket
from renderctl.repository.database.engine import open_engine

_CONNECTIONS = 400


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks server_costs")
    parser.add_argument("--workers", type=int, default=500, help="that are registered")
    parser.add_argument("--tasks", type=int, default=50_000, help="of the job that they work on")
    parser.add_argument("--times", type=int, default=500, help="how often a call is made")
    options = parser.parse_args(arguments)
    with service_site(bucket=False) as site, site.farm() as farm:
        costs = Costs(farm, Servers(site, farm), options.times)
        claimants = [_registered(farm, f"node-{number}") for number in range(options.workers)]
        costs.print_idle_calls(cycle(claimants))
        costs.print_lives_of_tasks(claimants, options.tasks)
        costs.print_cache_and_queue()
        print_connections(site, costs.servers)


def _registered(farm: Farm, name: str) -> Claimant:
    now = farm.clock.now()
    farm.repository.workers.register(
        Worker(name, "bench", WorkerState.ACTIVE, "1", 1, ("default",), CAPABILITIES, now, now), actor=ACTOR
    )
    return Claimant(name, "1", 0, ("default",), CAPABILITIES)


@dataclass(frozen=True)
class Costs:
    """Makes calls, again and again, and says what each has cost."""

    farm: Farm
    servers: Servers
    times: int

    def print_idle_calls(self, claimants: Iterator[Claimant]) -> None:
        repository = self.farm.repository
        repository.recovery.acquire_sweep_lease("somebody")
        self._print(
            "a heartbeat without a frame",
            lambda: repository.workers.heartbeat(Heartbeat(next(claimants).worker_id, "1")),
        )
        self._print(
            "a look at the lease of the sweep",
            lambda: repository.recovery.acquire_sweep_lease(next(claimants).worker_id),
        )
        self._print("a look for work where there is none", lambda: repository.attempts.claimable_jobs(next(claimants)))

    def print_lives_of_tasks(self, workers: Sequence[Claimant], tasks: int) -> None:
        repository, claimants = self.farm.repository, cycle(workers)
        job = submit(self.farm, ACTOR, given_model(self.farm), SubmitRequest(frames=f"1-{tasks}")).job
        held: list[Attempt] = []
        serial = job.serial

        def claim_by_ticket() -> None:
            nonlocal serial
            claim = repository.attempts.claim(job.id, next(claimants), serial=serial)
            serial = claim.serial if claim.serial is not None else serial
            held.extend(claim.attempts)

        self._print("a claim with a ticket", claim_by_ticket)
        started = iter(list(held))
        self._print("a start", lambda: repository.attempts.start(next(started)))
        beating = cycle(list(held))
        self._print("a heartbeat with a frame", lambda: self._beat(next(beating)))
        self._print("a look whether a job has ended", lambda: repository.jobs.finish_if_done(job.id))
        self._print(f"a sweep beside {len(held)} frames", lambda: sweep(self.farm, "somebody"), times=20)
        self._print(
            "a claim within a quantum", lambda: held.extend(repository.attempts.claim(job.id, next(claimants)).attempts)
        )
        running, following = iter(held[: self.times]), iter(held[self.times :])

        def complete() -> None:
            attempt = next(running)
            done = Completion(attempt, (result_of(attempt),), Cost(30.0, 1000.0, "CPU"))
            repository.attempts.complete_all([done], starting=[next(following)])

        self._print("a completion, the next one started", complete)

    def print_cache_and_queue(self) -> None:
        cache, queue, numbers = self.farm.cache, self.farm.queue, count()

        def follow() -> None:
            number = next(numbers)
            cache.put(f"attempt:{number % 100}", {"progress": 0.5}, version=number, ttl_s=60.0)
            cache.append(f"log:{number % 100}", PRINTED, at=number // 100 * len(PRINTED))

        self._print("progress and log of a frame, once", follow, of="cache")
        self._print("a ticket put", lambda: queue.put(Ticket("job", 1), pool="default", priority=5), of="broker")
        self._print("a ticket taken", lambda: queue.get(("default",), 0.0), of="broker")
        self._print("a wait for a ticket in vain", lambda: queue.get(("none",), 0.01), of="broker")

    def _beat(self, attempt: Attempt) -> None:
        assert attempt.worker_id is not None
        self.farm.repository.workers.heartbeat(Heartbeat(attempt.worker_id, "1", {attempt.id: 0.5}))

    def _print(self, what: str, call: Callable[[], Any], *, of: str = "database", times: int | None = None) -> None:
        times = times or self.times
        before, began = self.servers.counters(), time.perf_counter()
        for _ in range(times):
            call()
        took, spent = time.perf_counter() - began, self.servers.counters().since(before)
        statements = f"{spent.database['Questions'] / times:5.1f} statements" if of == "database" else ""
        print(
            f"{what:38} {1e6 * spent.cpu_s[of] / times:7.0f} us of the {of}'s processor, "
            f"{1e3 * took / times:6.2f} ms on the clock  {statements}",
            flush=True,
        )


def print_connections(site: Site, servers: Servers) -> None:
    with ExitStack() as stack:
        engine = open_engine(site.database_url)
        stack.callback(engine.dispose)
        _print_memory(servers, "database", lambda: stack.enter_context(engine.connect()).exec_driver_sql("SELECT 1"))
    with ExitStack() as stack:

        def wait_for_ticket() -> None:
            connection = pika.BlockingConnection(pika.URLParameters(f"{site.broker_url}?heartbeat=0"))
            stack.callback(connection.close)
            connection.channel().basic_consume("renderctl.default", lambda *_: None)

        _print_memory(servers, "broker", wait_for_ticket)
    with ExitStack() as stack:

        def ping() -> None:
            client = redis.Redis.from_url(site.cache_url)
            stack.callback(client.close)
            client.ping()

        _print_memory(servers, "cache", ping)


def _print_memory(servers: Servers, of: str, connect: Callable[[], Any]) -> None:
    connect()
    before = servers.counters()
    for _ in range(_CONNECTIONS):
        connect()
    spent = servers.counters()
    kilobytes = 1e3 * (spent.memory_mb[of] - before.memory_mb[of]) / _CONNECTIONS
    cpu_ms = 1e3 * spent.since(before).cpu_s[of] / _CONNECTIONS
    print(f"a connection to the {of}: {kilobytes:.0f} kB, and {cpu_ms:.1f} ms of its processor to open", flush=True)
