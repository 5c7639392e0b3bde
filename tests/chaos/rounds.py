"""One round: jobs on a few workers, and what a seed has in store for them."""

import random
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from renderctl.core.errors import Interrupted, Unreachable
from renderctl.core.models import Model
from renderctl.core.states import OPEN_JOB, JobState
from renderctl.farm import Farm
from renderctl.wiring import Commands
from tests.chaos.history import histories_of
from tests.chaos.job_factory import ATTEMPTS, BIG, JobFactory
from tests.chaos.observer import Observer
from tests.chaos.operators import Action, ActionLog, Crew, Operator
from tests.chaos.verdict import connected, count_frames, unfinished
from tests.fake_blender import SIZE
from tests.nodes import CLOCK, HEARTBEAT_S, Node, Site, until

_ROUND_S = 150.0
#: Seconds that a harm waits for its frame: people may have seen to it that it never comes.
_PROGRESS_S = 4.0
#: What a job has that is rendered whatever the others are.
_PLAIN = {"idempotency_key": None, "requires": (), "paused": False, "in_order": False, "after": (), "after_any": ()}
#: How probable it is that a job is tried again once the operators have gone, so that there is something to render.
_RETRIED = 0.6
#: People who are at work at the same time.
_OPERATORS = 3
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
    deeds: Counter[str] = field(default_factory=Counter)
    small: int = 20  #: frames of a job that an operator submits, at most
    grace_s: float = 0.0  #: of people's collections
    clock_jumped: bool = False  #: the database's, at some time of the round
    damaged: bool = False  #: whether the store gave wrong bytes at some time
    side: int = SIZE  #: pixels of an image, each way
    two_at_once: float = 0.0  #: how probable it is that a second harm comes before the first one is over

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._connection = connected(self.site)
        self.farm: Farm = self._connection.farm
        self._began = CLOCK.monotonic()
        self.observer = Observer(connected(self.site))
        self.factory = self._factory(self.chance, [])
        log, people = ActionLog(), []
        for number in range(_OPERATORS):
            chance = random.Random(f"{self.seed}-{number}")
            factory = self._factory(chance, self.factory.jobs)
            people.append(self.operator(connected(self.site), factory, log, chance))
        self.crew = Crew(people, log)

    def operator(self, connection: Commands, factory: JobFactory, log: ActionLog, chance: random.Random) -> Operator:
        """One more person."""
        return Operator(connection, factory, log, self.names, chance, self.small, self.grace_s)

    def names(self) -> list[str]:
        """Of the workers that there are now."""
        return sorted(list(self.workers)) or ["nobody"]  # copied at once: workers come and go

    @abstractmethod
    def models(self) -> tuple[Model, Model]:
        """What is rendered: a model, and one with a simulation that is not baked."""

    def _factory(self, chance: random.Random, jobs: list[str]) -> JobFactory:
        return JobFactory(chance, *self.models(), jobs)

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
        self.observer.start()
        self.crew.start()
        times = self.chance.randint(3, 7)
        for done in sorted(self.chance.randrange(frames) for _ in range(times)):
            self.wait_for_frames(done)
            CLOCK.wait(None, self.chance.uniform(0.0, 0.3))
            self._suffer(self._chosen())
        self.crew.stop(_ROUND_S)
        self.tell("the operators have gone")
        self._bring_to_an_end()
        self.wait_for_end()
        self.observer.stop()
        self.tell("all jobs have ended")
        self.end_workers()
        assert self.crew.log.errors == [], self.crew.log.errors

    def close(self) -> None:
        self.observer.leave()
        self.crew.stop(_ROUND_S)
        self._connection.close()

    @property
    def counts(self) -> Counter[str]:
        """What was done to the farm, by whom or what, and how often."""
        return self.deeds + self.factory.kinds + self.crew.counts + self.observer.looks

    def submit_all(self, frames: int, big: int) -> None:
        """So many frames in some jobs of all kinds, and one of `big` tasks that is never finished."""
        shares = self.chance.choice(((1.0,), (0.3, 0.7), (0.2, 0.2, 0.3, 0.3)))
        if big:
            self.factory.submit(self._connection, big, requires=(), max_attempts=ATTEMPTS, idempotency_key=None)
        self.factory.submit(self._connection, max(1, round(shares[0] * frames)), **_PLAIN)
        for share in shares[1:]:
            self.factory.submit(self._connection, max(1, round(share * frames)), idempotency_key=None)

    def retention(self) -> dict[str, str]:
        """What ended jobs are kept for, in the settings of nodes: some seconds, and in some rounds for ever."""
        kept = {
            f"RENDERCTL_RETENTION__{state}_DAYS": str(self.chance.uniform(3.0, 15.0) / 86_400)
            for state in ("SUCCEEDED", "FAILED", "CANCELED")
            if self.chance.random() < 0.5
        }
        self.deeds["rounds in which ended jobs are kept for seconds"] += bool(kept)
        return kept

    def wait_for_frames(self, frames: int) -> None:
        """Until so many are there, or for a while: people cancel and remove what would have made them."""
        give_up = CLOCK.monotonic() + _PROGRESS_S
        while CLOCK.monotonic() < give_up:
            self.revive()
            with suppress(Unreachable):
                if count_frames(self.farm) >= frames:
                    return
            CLOCK.wait(None, 0.05)

    def wait_for_end(self) -> None:
        """Until every job has ended, or waits in vain for another one, and nothing runs."""
        give_up = CLOCK.monotonic() + _ROUND_S
        while not self._is_over():
            assert CLOCK.monotonic() < give_up, f"after {_ROUND_S:g} s: {unfinished(self.farm)}"
            self.revive()
            CLOCK.wait(None, HEARTBEAT_S)

    def _is_over(self) -> bool:
        try:
            if unfinished(self.farm):
                return False
            histories = histories_of(self.farm)
            return all(history.is_over or history.waits(histories) for history in histories.values())
        except Unreachable:
            return False

    def _bring_to_an_end(self) -> None:
        """What the operators have left held, paused, or to be done for hours is no reason to wait."""
        self.crew.log.run(self._connection, Action("gc --scrub", None), lambda asked: asked.scrub(days=1))
        for job_id in [job_id for job_id in self.factory.jobs if self.chance.random() < _RETRIED]:
            action = Action("retry", job_id)
            self.crew.log.run(self._connection, action, partial(_retry, job_id))
        patience = CLOCK.monotonic() + _ROUND_S
        while not self._ended_what_is_left():
            assert CLOCK.monotonic() < patience, self.crew.log.counts
            CLOCK.wait(None, HEARTBEAT_S)

    def _ended_what_is_left(self) -> bool:
        """Whether the database has answered all of it."""
        log, commands = self.crew.log, self._connection
        try:
            for worker in self.farm.repository.workers.all(include_gone=True):
                log.run(commands, Action("resume a worker", None), partial(_resume_worker, worker.id))
            for history in histories_of(self.farm).values():
                job_id = history.id
                if history.state in OPEN_JOB and (history.suits_nobody or history.row.task_count >= BIG):
                    log.run(commands, Action("cancel", job_id), partial(_cancel, job_id))
                elif history.state is JobState.PAUSED:
                    log.run(commands, Action("resume", job_id), partial(_resume, job_id))
            left = histories_of(self.farm).values()
        except Unreachable:
            return False
        endless = [each for each in left if each.suits_nobody or each.row.task_count >= BIG]
        return not any(each.state is JobState.PAUSED for each in left) and not any(
            each.state in OPEN_JOB for each in endless
        )

    def end_workers(self) -> None:
        """Every worker that was not killed is there, and leaves in good order."""
        until(self._all_at_work, _ROUND_S, what="workers that are at work")
        for worker in self.workers.values():
            worker.process.terminate()
        for worker in self.workers.values():
            assert worker.wait(_LEAVE_S) == 0, worker.log.read_text()

    def _all_at_work(self) -> bool:
        self.revive()
        return all(is_at_work(worker) for worker in self.workers.values())

    def revive(self) -> None:
        """Start what has given up because a part of the farm was out of reach, as a node's init system does.

        That is allowed to who has not begun to work; whoever has stays, whatever is out of reach.
        """
        for name, worker in sorted(self.workers.items()):
            code = worker.process.poll()
            if code is None:
                continue
            assert code == Unreachable.exit_code, (code, worker.log.read_text())
            assert not is_at_work(worker), worker.log.read_text()
            self.tell(f"{name} starts again")
            self.deeds["workers that found the farm out of reach at their start"] += 1
            self.start(name)

    def tell(self, what: str) -> None:
        """For whoever reads how a round has failed."""
        print(f"seed {self.seed} {CLOCK.monotonic() - self._began:6.2f} s: {what}")

    def harms_of_workers(self, limit_s: float) -> Sequence[Harm]:
        """Killed or frozen, for shorter or for longer than `limit_s`, the heartbeat limit."""
        found = []
        for name, worker in sorted(self.workers.items()):
            for what, lasts in (("back at once", (0.0, 0.5)), ("back late", (1.5, 3.0))):
                seconds = (lasts[0] * limit_s, lasts[1] * limit_s)
                found.append(Harm(f"worker killed, {what}", name, worker.kill, partial(self.start, name), seconds))
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
            self.observer.disturb()
            harm.strike()
            self.deeds[harm.what] += 1
        for harm in harms:
            CLOCK.wait(None, self.chance.uniform(*harm.lasts))
            harm.heal()
            self.observer.disturb()
            self.tell(f"{harm.whom}: that is over")


def is_at_work(worker: Node) -> bool:
    """Whether it has registered: it says so in its log."""
    return f"worker {worker.name}: " in worker.log.read_text()


def _retry(job_id: str, commands: Commands) -> object:
    return commands.retry(job_id)


def _cancel(job_id: str, commands: Commands) -> object:
    return commands.cancel(job_id)


def _resume(job_id: str, commands: Commands) -> object:
    return commands.resume(job_id)


def _resume_worker(name: str, commands: Commands) -> object:
    return commands.resume_worker(name)
