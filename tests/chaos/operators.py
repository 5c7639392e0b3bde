"""People who steer jobs and workers at random, several at once, while the farm is harmed."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from renderctl.core.actors import local_actor
from renderctl.core.errors import RenderctlError, Unreachable
from renderctl.repository.schema.jobs import leases
from renderctl.wiring import Commands, LocalCommands
from tests.chaos.job_factory import JobFactory

#: Who submits: one owner, so that idempotency keys meet.
SUBMITTER = "chaos"
#: Seconds between two actions of one person.
_PAUSE_S = (0.02, 0.8)
#: What people do, and how often beside the rest.
_WEIGHTS = {
    "cancel": 2,
    "change priority": 4,
    "drain a worker": 2,
    "force removal": 1,
    "gc": 2,
    "gc --scrub": 1,
    "look": 4,
    "pause": 4,
    "remove": 2,
    "resume": 5,
    "resume a worker": 4,
    "retention is due": 1,
    "retry": 6,
    "retry --frames": 4,
    "retry right after cancel": 2,
    "submit": 3,
    "sweep": 1,
}


@dataclass(frozen=True)
class Action:
    """What one person asked of one job, and what they know of it."""

    what: str
    job_id: str | None
    whole: bool = True  #: of a retry: whether it was of all that failed or was canceled
    answered: bool = True  #: False: the database went away meanwhile, and nobody knows how far it came


@dataclass
class ActionLog:
    """All that people have asked for, by the name under which each action stands in the audit log."""

    actions: dict[str, Action] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)  #: that no user should ever see
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, connection: Commands, action: Action, ask: Callable[[Commands], object]) -> bool:
        """Ask for it under a name of its own; whether it was done. What nobody may refuse with is kept in `errors`."""
        with self._lock:
            name = f"operator-{len(self.actions)}"
            self.actions[name] = action
        outcome = f"operator: {action.what}"
        try:
            ask(connection.acting(local_actor(name)) if isinstance(connection, LocalCommands) else connection)
        except Unreachable as error:
            outcome = f"operator not answered: {type(error).__name__}"
            with self._lock:
                self.actions[name] = Action(action.what, action.job_id, action.whole, answered=False)
        except RenderctlError as error:
            outcome = f"operator refused: {type(error).__name__}"
        except Exception as error:
            outcome = "operator met an error without words"
            self.errors.append(error)
        with self._lock:
            self.counts[outcome] += 1
        return outcome.startswith("operator: ")


@dataclass
class Operator:
    """One person, at the farm's parts or at a server of it: over that, all actions stand under the one user's name."""

    connection: Commands  #: of their own
    factory: JobFactory
    log: ActionLog
    workers: Callable[[], Sequence[str]]  #: names of those that there are now
    chance: random.Random
    small: int  #: frames of a job that they submit, at most
    grace_s: float  #: of their collections

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        with closing(self.connection):
            while not stop.wait(self.chance.uniform(*_PAUSE_S)):
                self.act(self.chance.choices(sorted(_WEIGHTS), [_WEIGHTS[what] for what in sorted(_WEIGHTS)])[0])

    def act(self, what: str) -> None:
        if what == "submit":
            self._submit()
        elif what in ("drain a worker", "resume a worker"):
            self._steer_worker(what)
        elif what in _OF_THE_FARM and isinstance(self.connection, LocalCommands):
            self.log.run(self.connection, Action(what, None), partial(_OF_THE_FARM[what], self.grace_s))
        elif self.factory.jobs and what not in _OF_THE_FARM:
            self._steer_job(what, self.chance.choice(self.factory.jobs[-12:]))

    def _submit(self) -> None:
        frames = self.chance.randint(1, self.small)

        def submit(_connection: Commands) -> None:
            self.factory.submit(self.connection, frames)

        self.log.run(self.connection, Action("submit", None), submit)

    def _steer_worker(self, what: str) -> None:
        name = self.chance.choice(self.workers())

        def steer(connection: Commands) -> None:
            (connection.drain_worker if what == "drain a worker" else connection.resume_worker)(name)

        self.log.run(self.connection, Action(what, None), steer)

    def _steer_job(self, what: str, job_id: str) -> None:
        if what == "retry right after cancel":
            self.log.run(self.connection, Action("cancel", job_id), lambda connection: connection.cancel(job_id))
            self.log.run(self.connection, Action(what, job_id), lambda connection: connection.retry(job_id))
            return
        first = self.chance.randint(1, 10)
        frames, priority = f"{first}-{first + self.chance.randrange(10)}", self.chance.randint(0, 10)
        asks: dict[str, Callable[[Commands], object]] = {
            "cancel": lambda connection: connection.cancel(job_id),
            "change priority": lambda connection: connection.priority(job_id, priority),
            "force removal": lambda connection: connection.remove_jobs([job_id], force=True),
            "look": lambda connection: connection.status(job_id),
            "pause": lambda connection: connection.pause(job_id),
            "remove": lambda connection: connection.remove_jobs([job_id]),
            "resume": lambda connection: connection.resume(job_id),
            "retry": lambda connection: connection.retry(job_id),
            "retry --frames": lambda connection: connection.retry(job_id, frames),
        }
        self.log.run(self.connection, Action(what, job_id, whole=what != "retry --frames"), asks[what])


def _make_retention_due(_grace_s: float, connection: Commands) -> None:
    """As if an hour had passed since the last look at what is kept too long."""
    assert isinstance(connection, LocalCommands)
    turn = leases.delete().where(leases.c.name == "retention")
    connection.farm.repository.database.write(lambda transaction: transaction.execute(turn))


_OF_THE_FARM: dict[str, Callable[[float, Commands], object]] = {
    "gc": lambda grace_s, connection: connection.collect(grace_hours=grace_s / 3600),
    "gc --scrub": lambda _grace_s, connection: connection.scrub(days=1),
    "retention is due": _make_retention_due,
    "sweep": lambda _grace_s, connection: connection.sweep_here(wait=False),
}


@dataclass
class Crew:
    """The people of a round, at work from `start` to `stop`."""

    operators: list[Operator]
    log: ActionLog
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for operator in self.operators:
            thread = threading.Thread(target=operator.run, args=(self._stop,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, within_s: float) -> None:
        """Let them finish what they have begun."""
        self._stop.set()
        for thread in self._threads:
            thread.join(within_s)
        assert not any(thread.is_alive() for thread in self._threads), "an operator waits for an answer for ever"

    @property
    def counts(self) -> Counter[str]:
        """What they did, and which jobs they submitted."""
        kinds = (operator.factory.kinds for operator in self.operators)
        return sum(kinds, Counter()) + self.log.counts
