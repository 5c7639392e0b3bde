"""A worker: registered, its heart beating, its slots at work; drained or stopped, it leaves in good order."""

import logging
import os
import platform
import threading
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.actors import Actor
from renderctl.errors import BlenderMissing, NotFound, RenderctlError, StoreUnavailable
from renderctl.farm import Farm
from renderctl.farm.blenders import known_blenders
from renderctl.farm.safenames import safe_name
from renderctl.farm.scratch import Scratch, abandoned, scratch_root
from renderctl.farm.work.heart import Heart, Identity
from renderctl.farm.work.held import Held
from renderctl.farm.work.sessions import Sessions
from renderctl.farm.work.slot import Listeners, Signals, Slot
from renderctl.farm.work.turns import FarmTurns, OwnTurns
from renderctl.ids import new_id, new_token
from renderctl.repository import Claimant
from renderctl.states import WorkerState
from renderctl.workers import Capabilities
from renderctl.workers import Worker as WorkerRecord

logger = logging.getLogger(__name__)

#: Seconds between two looks at what the farm wants of the worker.
_LOOK_EVERY_S = 0.2
#: Seconds that a slot has to end what it was told to stop.
_LEAVE_S = 10.0


@dataclass(frozen=True)
class WorkOptions:
    """How a worker works; what is None comes from the settings."""

    name: str | None = None  #: its stable id; None: the host's name and a number
    slots: int | None = None
    pools: tuple[str, ...] | None = None
    allow_scripts: bool | None = None
    only_job: str | None = None  #: work on this job alone, until it has ended
    idle_exit_s: float | None = None  #: leave after so many seconds without work
    listeners: Listeners = field(default_factory=Listeners)


class Worker:
    """One process that renders."""

    def __init__(self, farm: Farm, options: WorkOptions, scratch: Scratch, *, actor: Actor) -> None:
        self._farm = farm
        self._options = options
        self._scratch = scratch
        self._actor = actor
        self.id = scratch.path.name
        self.slots = options.slots or farm.settings.worker.slots
        self.pools = options.pools or farm.settings.worker.pools
        self._identity = Identity(self.id, new_token())
        self._signals = Signals(threading.Event(), threading.Event())
        self._held = Held()
        self._heart = Heart(farm, self._identity, self._held)
        allow_scripts = options.allow_scripts
        allowed = farm.settings.worker.allow_scripts if allow_scripts is None else allow_scripts
        self.sessions = [
            Sessions(farm, scratch.path / f"slot-{number}", allow_scripts=allowed) for number in range(self.slots)
        ]
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self) -> None:
        """Register, take away what an earlier incarnation held, and begin to work. Raises DatabaseUnavailable."""
        now = self._farm.clock.now()
        record = WorkerRecord(
            id=self.id,
            host=platform.node(),
            state=WorkerState.ACTIVE,
            incarnation=self._identity.incarnation,
            slots=self.slots,
            pools=self.pools,
            capabilities=_capabilities(self._farm),
            started_at=now,
            seen_at=now,
        )
        fenced = self._farm.repository.register(record, actor=self._actor)
        if fenced:
            logger.warning("%d tasks of an earlier start of %s are queued again", len(fenced), self.id)
        self._heart.start()
        logger.info("worker %s: %d slots, pools %s", self.id, self.slots, ", ".join(self.pools))

    def work(self, job_id: str | None = None) -> None:
        """Let the slots begin; with `job_id` they work on that job alone and end with it."""
        for number, sessions in enumerate(self.sessions):
            claimant = Claimant(self.id, self._identity.incarnation, number, self.pools)
            turns = OwnTurns(self._farm, claimant, job_id) if job_id else self._farm_turns(claimant)
            slot = Slot(self._farm, turns, sessions, self._held, self._signals, self._options.listeners)
            scratch = self._scratch.path / f"slot-{number}"
            thread = threading.Thread(target=self._run, args=(slot, scratch), name=f"slot-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def run(self) -> None:
        """Work until every slot has ended: told to drain or to halt, or idle for too long."""
        self.start()
        try:
            self.work()
            while not self.wait(_LOOK_EVERY_S):
                pass
        finally:
            self.halt()
            self.leave()

    def drain(self) -> None:
        """Let the running frames finish and take no more."""
        self._signals.drain.set()

    def halt(self) -> None:
        """Stop at once: what is being rendered is queued again, free of charge."""
        self._signals.halt.set()
        self._signals.drain.set()
        self._held.stop_all()

    def wait(self, seconds: float) -> bool:
        """Wait for up to `seconds` until every slot has ended; whether they have. Passes on orders of the farm."""
        if self._heart.superseded.is_set():
            self.halt()
        if self._heart.drain.is_set():
            self.drain()
        deadline = self._farm.clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._farm.clock.monotonic()))
        if self._heart.error is not None:
            raise self._heart.error
        if self._errors:
            raise self._errors[0]
        return not any(thread.is_alive() for thread in self._threads)

    def leave(self) -> None:
        """End in good order: the slots that were halted end first."""
        for thread in self._threads:
            thread.join(_LEAVE_S)
        self._heart.stop()
        for sessions in self.sessions:
            sessions.close()
        try:
            self._farm.repository.leave(self.id, self._identity.incarnation, actor=self._actor)
            self._farm.repository.end_watch(self.id)
        except RenderctlError as error:
            logger.warning("the worker could not say that it leaves: %s", error)
        self._scratch.remove()

    def _farm_turns(self, claimant: Claimant) -> FarmTurns:
        return FarmTurns(self._farm, claimant, self._options.idle_exit_s)

    def _run(self, slot: Slot, scratch: Path) -> None:
        try:
            slot.run(scratch)
        except BaseException as error:  # raised again by `wait`, in the thread that started the worker
            logger.exception("a slot of worker %s ended", self.id)
            self._errors.append(error)
            self.halt()


def worker_for(farm: Farm, options: WorkOptions, *, actor: Actor) -> Worker:
    """A worker with a scratch directory of its own, after clearing up behind those that died on this machine."""
    scratch = _claim_scratch(farm, options)
    scratch.clear()
    for dead in abandoned(farm):
        _keep_logs(farm, dead.path)
        dead.remove()
    return Worker(farm, options, scratch, actor=actor)


def _claim_patiently(farm: Farm, path: Path) -> Scratch | None:
    """Another start that looks for what the dead have left holds every lock for a moment."""
    for _ in range(20):
        scratch = Scratch.claim(path)
        if scratch is not None:
            return scratch
        farm.clock.wait(None, 0.05)
    return None


def _claim_scratch(farm: Farm, options: WorkOptions) -> Scratch:
    if options.name is not None:
        scratch = _claim_patiently(farm, scratch_root(farm) / safe_name(options.name))
        if scratch is None:
            raise NotFound(f"A worker called {options.name!r} is running here already.", hint="Give it another --name.")
        _keep_logs(farm, scratch.path)
        return scratch
    if options.only_job is not None:
        own = Scratch.claim(scratch_root(farm) / f"render-{new_id()}")
        assert own is not None  # the name is new
        return own
    host = safe_name(platform.node() or "worker")
    for number in range(1, 1000):
        scratch = Scratch.claim(scratch_root(farm) / f"{host}-{number}")
        if scratch is not None:
            _keep_logs(farm, scratch.path)
            return scratch
    raise NotFound("A thousand workers are running here already.")


def _keep_logs(farm: Farm, scratch: Path) -> None:
    """The logs of attempts that a killed worker left behind."""
    for log in scratch.glob("slot-*/logs/*.log"):
        try:
            farm.store.put_log(log.stem, log.read_bytes())
        except (OSError, StoreUnavailable) as error:
            logger.warning("the log %s was not kept: %s", log, error)


def _capabilities(farm: Farm) -> Capabilities:
    try:
        versions = tuple(".".join(map(str, each.version)) for each in known_blenders(farm))
    except BlenderMissing as error:
        logger.warning("%s", error)
        versions = ()
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return Capabilities(os.cpu_count() or 1, memory_mb, versions)
