"""The processes of a simulation, and what they report."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import psutil

from benchmarks.services import Site
from benchmarks.simulation.calls import CallTimes

#: Seconds that all workers have to leave.
_LEAVE_S = 120.0


@dataclass(frozen=True)
class FleetPlan:
    """How many workers there are, and how they work."""

    workers: int
    render_s: tuple[float, float] = (10.0, 60.0)  #: a frame takes between these
    heartbeat_s: float = 5.0
    processes: int = 8
    threads: int = 6  #: of each process, each with a connection to the database
    settings: Mapping[str, str] = field(default_factory=dict)  #: more of RENDERCTL_*


class Fleet:
    """All simulated workers."""

    def __init__(self, processes: list["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def take_times(self) -> CallTimes:
        """How long calls took since the last time."""
        times = CallTimes()
        for process in self._processes:
            _say(process, "report")
        for process in self._processes:
            reported = json.loads(_answer(process))
            times.add(CallTimes(reported["seconds"], reported["waits"], reported["errors"]))
        return times

    def leave(self) -> None:
        """Have all workers give back what they render, and leave."""
        for process in self._processes:
            _say(process, "leave")
        for process in self._processes:
            assert _answer(process) == "left"
            process.wait(_LEAVE_S)

    def kill(self) -> None:
        """End them at once: nobody is told."""
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(process.pid) for process in self._processes]


@contextmanager
def fleet(site: Site, plan: FleetPlan) -> Iterator[Fleet]:
    """Workers that are registered and at work; killed at the end unless they have left."""
    with ExitStack() as stack:
        share, more = divmod(plan.workers, plan.processes)
        counts = [share + (number < more) for number in range(plan.processes)]
        started = [
            stack.enter_context(_process(site, plan, count, f"sim{number}"))
            for number, count in enumerate(counts)
            if count
        ]
        for process in started:
            assert _answer(process) == "ready"
        yield Fleet(started)


@contextmanager
def _process(site: Site, plan: FleetPlan, workers: int, prefix: str) -> Iterator["subprocess.Popen[str]"]:
    shared = replace(site, database_url=f"{site.database_url}?connections={plan.threads}")
    environment = {
        **os.environ,
        **shared.environment(prefix),
        "RENDERCTL_WORKER__HEARTBEAT": str(plan.heartbeat_s),
        "RENDERCTL_WORKER__HEARTBEAT_LIMIT": str(3 * plan.heartbeat_s),
        **plan.settings,
    }
    words = [str(workers), prefix, str(plan.threads), *map(str, plan.render_s)]
    command = [sys.executable, "-m", "benchmarks.simulation.process", *words]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of simulated workers ended with {process.wait()}")
    return line.strip()
