"""A simulated worker of one slot: its calls, their order and their rates are those of `renderctl.farm.worker`."""

import asyncio
import hashlib
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from sqlalchemy.util.concurrency import greenlet_spawn

from benchmarks.simulation.calls import AwaitingClock, AwaitingPort, Calls
from benchmarks.simulation.frames import SimulatedFrame
from benchmarks.simulation.queue import AwaitingQueue
from renderctl.core.actors import local_actor
from renderctl.core.attempts import Claim, Claimant, Completion, Cost
from renderctl.core.errors import DatabaseUnavailable, RenderctlError
from renderctl.core.ids import new_token
from renderctl.core.jobs import Attempt, Job, Output
from renderctl.core.states import WorkerState
from renderctl.core.workers import Capabilities, Heartbeat
from renderctl.core.workers import Worker as WorkerRecord
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done, sweep
from renderctl.farm.worker.heartbeat import COUNT_EVERY
from renderctl.farm.worker.job_poll import JobPoll
from renderctl.farm.worker.work_source import QueueSource

logger = logging.getLogger(__name__)

_ACTOR = local_actor("bench")
#: What each of the simulated nodes has.
CAPABILITIES = Capabilities(16, 64_000, ("5.0.1",))
_IMAGE_BYTES = 2_000_000
#: Seconds until a slot asks a database again that did not answer, at first and at last.
_MISSED_FIRST_S, _MISSED_LAST_S = 1.0, 8.0
#: Seconds between two looks of whoever holds the lease of the webhooks.
_WEBHOOKS_S = 1.0


@dataclass(frozen=True)
class Surroundings:
    """What the workers of a process share."""

    farm: Farm
    calls: Calls
    queue: AwaitingQueue
    render_s: Callable[[], float]  #: how long the next frame takes


class SimulatedWorker:
    """Registers, works until `drain`, and leaves."""

    def __init__(self, surroundings: Surroundings, name: str, node: str) -> None:
        self._farm = surroundings.farm
        self._calls = surroundings.calls
        self._render_s = surroundings.render_s
        self._settings = surroundings.farm.settings.worker
        self._id, self._node, self._incarnation = name, node, new_token()
        self.frames: dict[str, SimulatedFrame] = {}  #: by the ids of their attempts
        self._job_key: str | None = None  # what the session has open
        self._idle = False
        self._idle_workers = 0  # of the whole farm, when it was last asked
        self._draining = threading.Event()
        self._beaten = asyncio.Event()
        self._database_failed = False  # since the last sweep
        claimant = Claimant(name, self._incarnation, 0, self._settings.pools, CAPABILITIES)
        repository = cast(Any, AwaitingPort(self._farm.repository, self._calls))
        awaiting = replace(self._farm, repository=repository, queue=surroundings.queue, clock=AwaitingClock())
        poll = JobPoll(awaiting, lambda: self._idle_workers)
        self._turns = QueueSource(awaiting, claimant, poll=poll)

    async def register(self) -> None:
        now = self._farm.clock.now()
        record = WorkerRecord(
            id=self._id,
            host="simulated",
            state=WorkerState.ACTIVE,
            incarnation=self._incarnation,
            slots=1,
            pools=self._settings.pools,
            capabilities=CAPABILITIES,
            started_at=now,
            seen_at=now,
            node=self._node,
        )
        await self._calls.insist(self._farm.repository.workers.register, record, actor=_ACTOR)

    async def work(self) -> None:
        """Until it is drained."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(part()) for part in (self._beat, self._sweep, self._keep_webhooks)]
            await self._take_turns()
            for task in beside:
                task.cancel()

    def drain(self) -> None:
        """Take no more; what is being rendered is finished."""
        self._draining.set()

    def halt(self) -> None:
        """Give back what is being rendered, and take no more."""
        self._draining.set()
        for frame in self.frames.values():
            frame.stop.set()

    async def leave(self) -> None:
        """As a real worker leaves: nobody has to find out that it is gone."""
        repository = self._farm.repository
        await self._calls.insist(repository.deliveries.release_lease, self._id)
        await self._calls.insist(repository.workers.deregister, self._id, self._incarnation, actor=_ACTOR)
        await self._calls.insist(repository.recovery.release_sweep_lease, self._id)

    # -- beside the slot

    async def _beat(self) -> None:
        await asyncio.sleep(random.random() * self._settings.heartbeat)  # nodes do not start in step
        idle_beats = 0
        while True:
            pause = asyncio.create_task(asyncio.sleep(self._settings.heartbeat))
            idle = self._idle
            progress = {frame.attempt.id: frame.progress for frame in self.frames.values()}
            count_idle = idle and idle_beats % COUNT_EVERY == 0
            beat = Heartbeat(self._id, self._incarnation, progress, idle=idle, count_idle=count_idle)
            try:
                orders = await self._calls.run(self._farm.repository.workers.heartbeat, beat)
            except DatabaseUnavailable:
                self._database_failed = True
            else:
                for attempt_id in orders.stop & self.frames.keys():
                    self.frames[attempt_id].stop.set()
                idle_beats += int(idle)
                if orders.idle_workers is not None:
                    self._idle_workers = orders.idle_workers
                self._beaten.set()
            await pause

    async def _sweep(self) -> None:
        """After each heartbeat, within a fifth of the time until the next one."""
        while True:
            await self._beaten.wait()
            await asyncio.sleep(random.random() * self._settings.heartbeat / 5)
            self._beaten.clear()
            afresh, self._database_failed = self._database_failed, False
            try:
                await self._calls.run(sweep, self._farm, self._id, afresh=afresh)
            except RenderctlError as error:
                self._database_failed = True
                logger.info("the sweep was not finished: %s", error)

    async def _keep_webhooks(self) -> None:
        """Who holds the lease looks what is due, and keeps it three times in its life; the others ask for it once."""
        await asyncio.sleep(random.random())
        repository, held, ask_at = self._farm.repository, False, 0.0
        limit_s = self._settings.heartbeat_limit
        while True:
            now = self._farm.clock.monotonic()
            try:
                if now >= ask_at:
                    held = await self._calls.run(repository.deliveries.acquire_lease, self._id)
                    ask_at = now + (limit_s / 3 if held else limit_s)
                if held:
                    await self._calls.run(repository.deliveries.due_webhooks)
            except RenderctlError as error:
                logger.info("webhooks are not sent at the moment: %s", error)
            await asyncio.sleep(min(_WEBHOOKS_S, self._settings.heartbeat) if held else ask_at - now)

    # -- the slot

    async def _take_turns(self) -> None:
        quantum_s, missed_s = self._settings.quantum * random.random(), _MISSED_FIRST_S
        while not self._draining.is_set():
            try:
                claim: Claim = await greenlet_spawn(self._turns.next, self._draining)
            except DatabaseUnavailable:
                await asyncio.sleep(random.uniform(0.5, 1.0) * missed_s)
                missed_s = min(2 * missed_s, _MISSED_LAST_S)
                continue
            missed_s, self._idle = _MISSED_FIRST_S, not claim.attempts
            if claim.job is not None and claim.attempts:
                await self._serve(claim.job, claim.attempts, quantum_s)
                quantum_s = self._settings.quantum * random.uniform(0.5, 1.5)

    async def _serve(self, job: Job, claimed: tuple[Attempt, ...], quantum_s: float) -> None:
        """Work on one job for a quantum: while a frame is rendered, the one before it is published."""
        pending, started = deque(claimed), None
        self._hold(claimed)
        ends = self._farm.clock.monotonic() + quantum_s
        publishing: asyncio.Task[None] | None = None
        while pending and not self._draining.is_set():
            attempt = pending.popleft()
            if attempt is not started and not await self._calls.insist(self._farm.repository.attempts.start, attempt):
                del self.frames[attempt.id]
                continue
            await self._open(job)
            rendered = await self.frames[attempt.id].render(self._render_s())
            if not rendered:
                await self._calls.insist(self._farm.repository.attempts.cancel, attempt)
                del self.frames[attempt.id]
            await self._claim_next(job, pending, ends)
            started = pending[0] if rendered and pending and not self._draining.is_set() else None
            if rendered:
                if publishing is not None:
                    await publishing
                publishing = asyncio.create_task(self._publish(attempt, started))
        if publishing is not None:
            await publishing
        await self._give_back(job, list(pending))

    def _hold(self, attempts: tuple[Attempt, ...]) -> None:
        self.frames |= {attempt.id: SimulatedFrame(attempt) for attempt in attempts}

    async def _open(self, job: Job) -> None:
        """What a session asks the database for before it opens a scene; a warm one has it open."""
        if self._job_key != job.model_id:
            repository = self._farm.repository
            await self._calls.insist(repository.models.get, job.model_id)
            await self._calls.insist(repository.models.inputs, job.model_id)
            await self._calls.insist(repository.jobs.inputs, job.id)
            self._job_key = job.model_id

    async def _claim_next(self, job: Job, pending: deque[Attempt], ends: float) -> None:
        if pending or self._draining.is_set() or self._farm.clock.monotonic() >= ends:
            return
        try:
            more = await greenlet_spawn(self._turns.claim_more, job, 1)
        except DatabaseUnavailable:
            return
        self._hold(more)
        pending.extend(more)

    async def _publish(self, attempt: Attempt, following: Attempt | None) -> None:
        cost = Cost(self.frames[attempt.id].seconds, 1000.0, "CPU")
        done = [Completion(attempt, (result_of(attempt),), cost)]
        starting = [following] if following else ()
        await self._calls.insist(self._farm.repository.attempts.complete_all, done, starting=starting, since=None)
        if following is None:
            await self._calls.insist(finish_job_if_done, self._farm, attempt.job_id)
        del self.frames[attempt.id]

    async def _give_back(self, job: Job, rest: list[Attempt]) -> None:
        if rest:
            await self._calls.insist(self._farm.repository.attempts.release, rest)
            for attempt in rest:
                del self.frames[attempt.id]
        await greenlet_spawn(partial(self._turns.leave, job, released=bool(rest)))


def result_of(attempt: Attempt) -> Output:
    """An image that nobody has rendered."""
    return Output(
        name=f"{attempt.frame:04d}.png",
        digest=hashlib.sha256(attempt.id.encode()).hexdigest(),
        size=_IMAGE_BYTES,
        width=1920,
        height=1080,
        frame=attempt.frame,
        camera=attempt.camera,
        number=attempt.number,
        device="CPU",
    )
