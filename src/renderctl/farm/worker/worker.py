"""A worker: registered, its heart beating, its slots at work; drained or stopped, it leaves in good order."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.core.actors import Actor
from renderctl.core.attempts import Claimant
from renderctl.core.errors import (
    DatabaseUnavailable,
    DecoderUnavailable,
    RenderctlError,
    StoreUnavailable,
    WorkerNameTaken,
)
from renderctl.core.ids import new_token
from renderctl.core.states import WorkerState
from renderctl.core.workers import Worker as WorkerRecord
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.blenders import labels, require_sandbox
from renderctl.farm.node_id import give_up_number, host_name, node_number
from renderctl.farm.periodic import stop_all
from renderctl.farm.scratch import Scratch, abandoned, scratch_root
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.heartbeat import HeartbeatThread, Identity
from renderctl.farm.worker.identity import claim_scratch
from renderctl.farm.worker.in_flight import InFlight
from renderctl.farm.worker.job_poll import JobPoll
from renderctl.farm.worker.log_bundle import store_log
from renderctl.farm.worker.reporting import Reporter
from renderctl.farm.worker.session_slot import SessionSlot
from renderctl.farm.worker.slot import Slot
from renderctl.farm.worker.slot_parts import Listeners, SlotParts
from renderctl.farm.worker.stop_flags import StopFlags
from renderctl.farm.worker.work_source import QueueSource, ReservedJobSource

logger = logging.getLogger(__name__)

#: Seconds between two looks at what the farm wants of the worker.
_LOOK_EVERY_S = 0.2
#: Seconds that a slot has to end what it was told to stop.
_LEAVE_S = 10.0


@dataclass(frozen=True)
class WorkOptions:
    """How a worker works; what is None comes from the settings."""

    name: str | None = None  #: its stable id; None: one that its node keeps
    slots: int | None = None
    pools: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    allow_scripts: bool | None = None
    only_job: str | None = None  #: work on this job alone, until it has ended
    idle_exit_s: float | None = None  #: leave after so many seconds without work
    drain_timeout_s: float | None = None  #: give up frames that take so long after the worker was told to leave
    listeners: Listeners = field(default_factory=Listeners)


class Worker:
    """One process that renders."""

    def __init__(self, farm: Farm, actor: Actor, options: WorkOptions, scratch: Scratch) -> None:
        self._farm = farm
        self._options = options
        self._scratch = scratch
        self._actor = actor
        self.id = scratch.path.name
        self.slots = options.slots or farm.settings.worker.slots
        self.pools = options.pools or farm.settings.worker.pools
        self._identity = Identity(self.id, new_token())
        self._flags = StopFlags()
        self._in_flight = InFlight()
        tags = farm.settings.worker.tags if options.tags is None else options.tags
        self._health = Health(farm, (scratch.path, farm.settings.data_dir), self._flags, tags)
        self._heartbeat = HeartbeatThread(farm, self._identity, self._in_flight, self._flags, self._health)
        self._dispatcher = WebhookDispatcher(farm, self.id)
        allow_scripts = options.allow_scripts
        allowed = farm.settings.worker.allow_scripts if allow_scripts is None else allow_scripts
        allowed = farm.executor.isolated if allowed is None else allowed
        self.sessions = [
            SessionSlot(farm, scratch.path / f"slot-{number}", allow_scripts=allowed) for number in range(self.slots)
        ]
        self._reporter = Reporter(farm, self._in_flight, lambda: (sessions.log for sessions in self.sessions))
        self._threads: list[threading.Thread] = []
        self._finished: list[threading.Event] = []  # of each slot, that it takes no more turns
        self._errors: list[BaseException] = []
        self._leave_by: float | None = None  # when what still runs is given up

    def start(self) -> None:
        """Register, take away what an earlier incarnation held, and begin to beat.

        Before that Blender is tried, but for a job of its own. Raises DatabaseUnavailable, WorkerNameTaken.
        """
        if self._options.only_job:
            self._health.detect_blenders()
        else:
            self._health.probe_blender(self.sessions[0])
        now = self._farm.clock.now()
        record = WorkerRecord(
            id=self.id,
            host=host_name(),
            state=WorkerState.ACTIVE,
            incarnation=self._identity.incarnation,
            slots=self.slots,
            pools=self.pools,
            capabilities=self._health.capabilities,
            started_at=now,
            seen_at=now,
            reason=self._health.problem,
            node=node_number(self._farm),
        )
        fenced = self._farm.repository.workers.register(record, actor=self._actor)
        if fenced:
            logger.warning("%d tasks of an earlier start of %s are queued again", len(fenced), self.id)
        if not self._options.only_job:
            self._health.start()
        self._heartbeat.start()
        self._reporter.start()
        self._prepare_decoder()
        self._dispatcher.start()
        logger.info("worker %s: %d slots, pools %s", self.id, self.slots, ", ".join(self.pools))

    def work(self, job_id: str | None = None) -> None:
        """Let the slots begin; with `job_id` they work on that job alone and end with it."""
        poll = JobPoll(self._farm, lambda: self.idle_workers, idle_exit_s=self._options.idle_exit_s)
        for number, sessions in enumerate(self.sessions):
            claimant = Claimant(self.id, self._identity.incarnation, number, self.pools, self._health.capabilities)
            source = ReservedJobSource(self._farm, claimant, job_id) if job_id else self._queue_source(claimant, poll)
            parts = SlotParts(source, sessions, self._in_flight, self._health)
            slot = Slot(self._farm, parts, self._flags, self._options.listeners)
            scratch = self._scratch.path / f"slot-{number}"
            finished = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(slot, scratch, finished), name=f"slot-{number}", daemon=True
            )
            self._threads.append(thread)
            self._finished.append(finished)
            thread.start()

    def run(self) -> None:
        """Work until every slot has ended: told to drain or to halt, or idle for too long.

        Raises WorkerNameTaken when another machine works under this one's name.
        """
        self.start()
        try:
            self.work()
            while not self.wait(_LOOK_EVERY_S):
                pass
        finally:
            self.abort()
            self.leave()
        if self._heartbeat.superseded.is_set():
            give_up_number(self._farm)
            raise WorkerNameTaken(
                f"Another machine works under the name {self.id}: one of the two may be a copy of the other.",
                hint="Started again, this one gets a name of its own; those that --name names each need their own.",
            )

    @property
    def idle_workers(self) -> int:
        """How many workers of the farm have an idle slot, as far as this one knows."""
        return self._heartbeat.idle_workers

    def hold(self) -> None:
        """Let the running frames finish and take no more until the worker is resumed."""
        self._heartbeat.request_drain(drain=True)

    def resume(self) -> None:
        """Take work again, whatever the worker was held in."""
        self._heartbeat.request_drain(drain=False)

    def drain(self) -> None:
        """Let the running frames finish, take no more, and leave."""
        if self._options.drain_timeout_s is not None:
            self._leave_by = self._farm.clock.monotonic() + self._options.drain_timeout_s
        self._flags.drain.set()

    def abort(self) -> None:
        """Stop at once: what is being rendered is queued again, free of charge."""
        self._flags.abort.set()
        self._flags.drain.set()
        self._in_flight.stop_all()

    def wait(self, seconds: float) -> bool:
        """Wait for up to `seconds` until every slot has ended; whether they have. Passes on orders of the farm."""
        if self._heartbeat.superseded.is_set() or self._is_too_late():
            self.abort()
        deadline = self._farm.clock.monotonic() + seconds
        for finished in self._finished:
            finished.wait(max(0.0, deadline - self._farm.clock.monotonic()))
        for error in self._part_errors():
            if error is not None:
                raise error
        return all(finished.is_set() for finished in self._finished)

    def leave(self) -> None:
        """End in good order: the slots that were halted end first."""
        for thread in self._threads:
            thread.join(_LEAVE_S)
        stop_all(self._reporter, self._dispatcher, self._health)
        self._heartbeat.stop()
        for sessions in self.sessions:
            sessions.close()
        try:
            self._farm.repository.workers.deregister(self.id, self._identity.incarnation, actor=self._actor)
            self._farm.repository.recovery.release_sweep_lease(self.id)
        except RenderctlError as error:
            logger.warning("the worker could not say that it leaves: %s", error)
        self._scratch.remove()

    def _prepare_decoder(self) -> None:
        """Beside Blender's start: the first frame need not wait for it."""
        try:
            self._farm.decoder.prepare()
        except DecoderUnavailable as error:  # the first frame tries again, and fails of it
            logger.warning("%s", error)

    def _part_errors(self) -> list[BaseException | None]:
        parts = (self._heartbeat, self._reporter, self._health, self._dispatcher)
        return [*(part.error for part in parts), *self._errors]

    def _is_too_late(self) -> bool:
        late = self._leave_by is not None and self._farm.clock.monotonic() >= self._leave_by
        if late and not self._flags.abort.is_set():
            logger.warning("the frames did not finish in time: they are queued again")
        return late

    def _queue_source(self, claimant: Claimant, poll: JobPoll) -> QueueSource:
        return QueueSource(self._farm, claimant, self._options.idle_exit_s, poll=poll)

    def _run(self, slot: Slot, scratch: Path, finished: threading.Event) -> None:
        self._guard(lambda: slot.run(scratch))
        finished.set()  # Blender ends beside what is done with its results
        self._guard(slot.close)

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except DatabaseUnavailable as error:
            if not self._flags.abort.is_set():
                self._errors.append(error)
                self.abort()
            else:
                logger.warning("what a slot held is given up, and queued again by the farm: %s", error)
        except BaseException as error:  # raised again by `wait`, in the thread that started the worker
            logger.exception("a slot of worker %s ended", self.id)
            self._errors.append(error)
            self.abort()


def worker_for(farm: Farm, actor: Actor, options: WorkOptions) -> Worker:
    """A worker with a scratch directory of its own, after clearing up behind those that died on this machine.

    Raises WorkerNameTaken, NotAllowed, SandboxMissing.
    """
    require(farm, actor, "worker.run")
    if options.only_job is None:
        require_sandbox(farm)
    scratch = claim_scratch(farm, options.name, for_one_job=options.only_job is not None)
    _end_sessions(farm, scratch.path)
    _keep_logs(farm, scratch.path)
    scratch.clear()
    for dead in abandoned(scratch_root(farm)):
        _end_sessions(farm, dead.path)
        _keep_logs(farm, dead.path)
        dead.remove()
    return Worker(farm, actor, options, scratch)


def _end_sessions(farm: Farm, scratch: Path) -> None:
    """Those that a killed worker left behind: a process dies with it, a container does not."""
    if farm.executor.isolated and (left := farm.executor.reap(labels(farm, scratch))):
        logger.warning("%d containers of %s, which is dead, were ended", left, scratch.name)


def _keep_logs(farm: Farm, scratch: Path) -> None:
    """The logs of attempts that a killed worker left behind."""
    for log in scratch.glob("slot-*/logs/*.log"):
        try:
            store_log(farm, log.stem, log)
        except (OSError, StoreUnavailable) as error:
            logger.warning("the log %s was not kept: %s", log, error)
