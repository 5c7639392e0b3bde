"""`python -m benchmarks.simulated COUNT PREFIX SECONDS`: so many workers in one process, whose frames take so long.

The farm is that of the settings (`RENDERCTL_*`); only Blender is missing. Ends when its input ends.
"""

import heapq
import logging
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from renderctl.actors import local_actor
from renderctl.executors import Launch, Running
from renderctl.farm.work import Worker, WorkOptions, worker_for
from renderctl.wiring import open_farm, read_settings
from tests.fake_blender import Behaviour, FakeBlender, FakeExecutor, rendered

#: Seconds between two looks of a session that waits for its frame.
_SLEEP_S = 5.0
#: Seconds for which a thread may keep the interpreter: each that waits for it looks as often, and there are
#: thousands of them.
_SWITCH_S = 0.05


class Alarm:
    """Rings at the end of every frame: one thread for thousands of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: list[tuple[float, int, FakeBlender, Mapping[str, Any]]] = []
        self._number = count()
        self._changed = threading.Condition()
        threading.Thread(target=self._ring, daemon=True).start()

    def render(self, blender: FakeBlender, order: Mapping[str, Any]) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + self._seconds, next(self._number), blender, order))
            self._changed.notify()

    def _ring(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, blender, order = heapq.heappop(self._due)
            rendered(blender, order, seconds=self._seconds)


class SimulatedBlender(FakeBlender):
    """Hundreds of sessions in one process sleep until there is something to hear."""

    def receive(self, timeout_s: float) -> str | None:
        return super().receive(max(timeout_s, _SLEEP_S))


@dataclass
class SimulatedExecutor(FakeExecutor):
    """A Blender whose every frame takes as long as it is told to, and leaves nothing."""

    usual: Behaviour = rendered

    def start(self, launch: Launch) -> Running:
        return SimulatedBlender(self)

    def behaviour(self, frame: int) -> Behaviour:
        return self.usual


@dataclass(frozen=True)
class Crew:
    """The workers of this process."""

    workers: tuple[Worker, ...]

    def leave(self) -> None:
        for worker in self.workers:
            worker.halt()
        for worker in self.workers:
            worker.leave()


def main(number: int, prefix: str, seconds: float) -> None:
    logging.basicConfig(level=logging.WARNING)
    if number > 1:
        sys.setswitchinterval(_SWITCH_S)
    usual: Behaviour = Alarm(seconds).render if seconds else rendered
    farm = replace(open_farm(read_settings()), executor=SimulatedExecutor(writes=False, usual=usual))
    crew = Crew(
        tuple(
            worker_for(farm, WorkOptions(name=f"{prefix}-{each}"), actor=local_actor("bench")) for each in range(number)
        )
    )
    for worker in crew.workers:
        worker.start()
        worker.work()
    print("ready", flush=True)
    sys.stdin.read()
    crew.leave()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
