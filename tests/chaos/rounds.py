"""One round: jobs on a few workers, and what a seed has in store for them."""

import random
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from renderctl.errors import Interrupted, Unreachable
from renderctl.farm import Farm
from tests.chaos.verdict import connected, wait_for_end
from tests.nodes import CLOCK, Node, Site, until

#: So many that chance can not use them up: every kill costs the frame that it hits one attempt.
ATTEMPTS = 60
_ROUND_S = 150.0
#: Signals that let a worker leave, and those that let it hold and resume.
_LEAVING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HOLDING = (signal.SIGUSR1, signal.SIGUSR2)
#: How one ends that is still getting up, or has left already, and leaves its signals to the system.
_UNCAUGHT = tuple(-number for number in _LEAVING + _HOLDING)
#: Seconds between two signals, at most: together, within a frame, longer than a frame and than leaving takes.
_APART_S = (0.0, 0.001, 0.05, 1.0)
#: Seconds that a worker may take to leave, at most: where the database is frozen each part of it waits for an answer.
_LEAVE_S = 90.0
#: Seconds that a worker may take to get up.
_START_S = 3.0


@dataclass(frozen=True)
class Harm:
    """What befalls one part of a farm, and how it ends."""

    what: str
    whom: str  #: one comes to one harm at a time
    strike: Callable[[], object]
    heal: Callable[[], object] = lambda: None
    lasts: tuple[float, float] = (0.0, 0.0)  #: seconds, from and to


@dataclass
class Round(ABC):
    """What a seed makes of a farm; the same seed does the same things, each after the same number of frames."""

    site: Site
    seed: int
    workers: dict[str, Node] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)
    two_at_once: float = 0.0  #: how probable it is that a second harm comes before the first one is over

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._connection = connected(self.site)
        self.farm: Farm = self._connection.farm
        self._began = CLOCK.monotonic()

    @abstractmethod
    def begin(self) -> int:
        """Submit jobs and start workers; how many frames there are."""

    @abstractmethod
    def harms(self) -> Mapping[str, Sequence[Harm]]:
        """What may happen next; each group of harms is as probable as the others."""

    @abstractmethod
    def start(self, name: str) -> None:
        """Start a worker, or start it again."""

    def play(self) -> None:
        """From the start of the workers until the jobs have ended."""
        frames = self.begin()
        times = self.chance.randint(3, 7)
        for done in sorted(self.chance.randrange(frames) for _ in range(times)):
            self.wait_for_frames(done)
            CLOCK.wait(None, self.chance.uniform(0.0, 0.3))
            self._suffer(self._chosen())
        for job_id in self.jobs:
            wait_for_end(self.farm, job_id, _ROUND_S, meanwhile=self.revive)
        self.tell("all jobs have ended")
        self.end_workers()

    def close(self) -> None:
        self._connection.close()

    def end_workers(self) -> None:
        for worker in self.workers.values():
            if worker.alive:
                worker.process.terminate()
        for worker in self.workers.values():
            # one that is still getting up has not told the system yet that it wants to leave in good order; another
            # got up when a part of the farm was out of reach, and nobody needed it any more
            assert worker.end() in (0, -signal.SIGTERM, Unreachable.exit_code), worker.log.read_text()

    def revive(self) -> None:
        """Start what has given up because a part of the farm was out of reach, as a node's init system does."""
        for name, worker in sorted(self.workers.items()):
            code = worker.process.poll()
            assert code in (None, -signal.SIGKILL, Unreachable.exit_code), worker.log.read_text()
            if code == Unreachable.exit_code:
                self.tell(f"{name} starts again")
                self.start(name)

    def wait_for_frames(self, frames: int) -> None:
        def there() -> bool:
            self.revive()
            try:
                return sum(map(self.farm.repository.count_outputs, self.jobs)) >= frames
            except Unreachable:
                return False

        until(there, _ROUND_S, what=f"{frames} frames of seed {self.seed}")

    def tell(self, what: str) -> None:
        """For whoever reads how a round has failed."""
        print(f"seed {self.seed} {CLOCK.monotonic() - self._began:6.2f} s: {what}")

    def harms_of_workers(self, limit_s: float) -> Sequence[Harm]:
        """Killed or frozen, for shorter or for longer than `limit_s`, the heartbeat limit."""
        found = []
        for name, worker in sorted(self.workers.items()):
            for what, lasts in (("back at once", (0.0, 0.5)), ("back late", (1.5, 3.0))):
                seconds = (lasts[0] * limit_s, lasts[1] * limit_s)
                found.append(
                    Harm(f"worker killed, {what}", name, worker.kill, lambda name=name: self.start(name), seconds)
                )
            found.append(Harm("worker frozen", name, worker.freeze, worker.thaw, (1.5 * limit_s, 4.0 * limit_s)))
            found += self._signals_to(name, worker)
        return found

    def _signals_to(self, name: str, worker: Node) -> Sequence[Harm]:
        """Second and third signals, whatever the worker is at: it ends in time, and nothing is lost."""

        def start() -> None:
            self.start(name)

        def signal_again() -> None:
            self._end_by_signals(self.workers[name])

        def signal_while_it_starts() -> None:
            worker.kill()
            start()
            CLOCK.wait(None, self.chance.uniform(0.0, _START_S))
            signal_again()

        return [
            Harm("worker signalled again and again", name, signal_again, start),
            Harm("worker signalled while it starts", name, signal_while_it_starts, start),
        ]

    def _end_by_signals(self, worker: Node) -> None:
        """Two or more that let it leave, and others between them: at once, within its last frame, or as it leaves."""
        numbers = [self.chance.choice(_LEAVING) for _ in range(self.chance.randint(2, 4))]
        for _ in range(self.chance.randint(0, 2)):
            numbers.insert(self.chance.randint(0, len(numbers)), self.chance.choice(_HOLDING))
        longest_s = self.chance.choice(_APART_S)
        self.tell(f"{worker.name} gets {', '.join(number.name for number in numbers)} within {longest_s:g} s each")
        for number in numbers:
            worker.process.send_signal(number)
            CLOCK.wait(None, self.chance.uniform(0.0, longest_s))
        code, log = worker.wait(_LEAVE_S), worker.log.read_text()
        if "init_import_site" not in log:  # Python itself was getting up: then it ends with 1
            assert code in (0, *_UNCAUGHT, Interrupted.exit_code, Unreachable.exit_code), log

    def harms_of_blenders(self) -> Sequence[Harm]:
        return [Harm("Blender killed", name, worker.kill_blender) for name, worker in sorted(self.workers.items())]

    def _chosen(self) -> list[Harm]:
        chosen = [self._any()]
        if self.chance.random() < self.two_at_once:
            chosen += [each for each in [self._any()] if each.whom != chosen[0].whom]
        return chosen

    def _any(self) -> Harm:
        groups = self.harms()
        return self.chance.choice(groups[self.chance.choice(sorted(groups))])

    def _suffer(self, harms: Sequence[Harm]) -> None:
        for harm in harms:
            self.tell(f"{harm.whom}: {harm.what}")
            harm.strike()
            self.deeds[harm.what] += 1
        for harm in harms:
            CLOCK.wait(None, self.chance.uniform(*harm.lasts))
            harm.heal()
            self.tell(f"{harm.whom}: that is over")
