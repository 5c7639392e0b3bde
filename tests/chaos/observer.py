"""Somebody who looks at the farm during a round: whether a job starves, and whether slot limits hold at this moment."""

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from renderctl.core.errors import Unreachable
from renderctl.core.states import OPEN_ATTEMPT, JobState, TaskState, WorkerState
from renderctl.repository.database.unit_of_work import db_now
from renderctl.repository.schema.jobs import attempts, by_state, job_exclusions, jobs, tasks, workers
from renderctl.repository.schema.mappers import to_capabilities, to_job
from renderctl.wiring import LocalCommands as Desk
from tests.nodes import CLOCK

#: Seconds that a job may wait, at most, while a slot that suits it has nothing to do and nothing is harmed.
STARVED_S = 60.0
_EVERY_S = 0.5
Slot = tuple[str, str, int]  #: worker, incarnation, number


@dataclass(frozen=True)
class _Snapshot:
    """The farm at one moment."""

    ready: Mapping[str, Any]  #: jobs with frames that nobody has tried yet, below their slot limits
    idle: Mapping[Slot, Any]  #: slots of active workers that hold nothing, with their workers
    claims: Mapping[Slot, frozenset[str]]  #: what each slot has ever claimed, of jobs that are there
    excluded: frozenset[tuple[str, str]]  #: jobs, and workers that they exclude
    above_limit: Mapping[str, int]  #: jobs, and how many slots are at work on them


@dataclass
class Observer:
    """Looks until it is told to stop; `disturb` says that something is being harmed, or is whole again."""

    desk: Desk
    looks: Counter[str] = field(default_factory=Counter)
    longest_wait_s: float = 0.0
    _undisturbed_since: float = field(default_factory=CLOCK.monotonic)
    _ready_since: dict[str, float] = field(default_factory=dict)
    _idle_since: dict[Slot, tuple[Any, float]] = field(default_factory=dict)
    _errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def disturb(self) -> None:
        self._undisturbed_since = CLOCK.monotonic()

    def leave(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(120)

    def stop(self) -> None:
        """Raises what it has seen and must not be."""
        self.leave()
        for error in self._errors:
            raise error

    def _run(self) -> None:
        with closing(self.desk):
            try:
                while not self._stop.wait(_EVERY_S):
                    self._look()
            except BaseException as error:  # raised again by `stop`, in the thread of the test
                self._errors.append(error)

    def _look(self) -> None:
        try:
            snapshot = self.desk.farm.repository.database.read(self._snapshot)
        except Unreachable:
            self.disturb()
            return
        self.looks["looks at slot limits and waiting jobs"] += 1
        assert not snapshot.above_limit, f"more slots than the job allows: {snapshot.above_limit}"
        now = CLOCK.monotonic()
        self._ready_since = {job_id: self._ready_since.get(job_id, now) for job_id in snapshot.ready}
        self._note_idle(snapshot, now)
        for job_id, row in snapshot.ready.items():
            self._require_served(job_id, row, snapshot, now)

    def _note_idle(self, snapshot: _Snapshot, now: float) -> None:
        """A slot that has claimed something since the last look was not idle between them."""
        idle_since = {}
        for slot in snapshot.idle:
            last, since = self._idle_since.get(slot, (None, now))
            current = snapshot.claims.get(slot)
            idle_since[slot] = (current, since if last == current else now)
        self._idle_since = idle_since

    def _require_served(self, job_id: str, row: Any, snapshot: _Snapshot, now: float) -> None:
        job = to_job(row)
        for slot, worker in snapshot.idle.items():
            if (job_id, worker.id) in snapshot.excluded:
                continue
            if to_capabilities(worker.capabilities).lacks(job.requirements) is not None:
                continue
            since = max(self._undisturbed_since, self._ready_since[job_id], self._idle_since[slot][1])
            self.longest_wait_s = max(self.longest_wait_s, now - since)
            assert now - since < STARVED_S, f"{job} waits beside the idle slot {slot} since {now - since:.1f} s"

    def _snapshot(self, connection: Connection) -> _Snapshot:
        silent = db_now(connection) - timedelta(seconds=self.desk.settings.worker.heartbeat_limit)
        active = (workers.c.state == WorkerState.ACTIVE) & (workers.c.seen_at >= silent)
        at_work = {row.id: row for row in connection.execute(select(workers).where(active))}
        holding: dict[str, set[Slot]] = {}
        for row in connection.execute(select(attempts).where(attempts.c.state.in_(OPEN_ATTEMPT))):
            holding.setdefault(row.job_id, set()).add((row.worker_id, row.incarnation, row.slot))
        busy = {slot for slots in holding.values() for slot in slots}
        slots = {(row.id, row.incarnation, number): row for row in at_work.values() for number in range(row.slots)}
        fresh = by_state.where(
            tasks.c.job_id == jobs.c.id, tasks.c.state == TaskState.QUEUED, tasks.c.attempts == 0
        ).exists()
        open_jobs = connection.execute(select(jobs).where(jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING)), fresh))
        limited = connection.execute(select(jobs).where(or_(jobs.c.max_slots.is_not(None), jobs.c.in_order))).all()
        limits = {row.id: 1 if row.in_order else row.max_slots for row in limited}
        exclusions = connection.execute(select(job_exclusions.c.job_id, job_exclusions.c.worker_id)).all()
        return _Snapshot(
            ready={
                row.id: row
                for row in open_jobs
                if row.id not in limits or len(holding.get(row.id, ())) < limits[row.id]
            },
            idle={slot: row for slot, row in slots.items() if slot not in busy},
            claims=_claims(connection),
            excluded=frozenset((row.job_id, row.worker_id) for row in exclusions),
            above_limit={
                job_id: len(holding[job_id])
                for job_id in limits.keys() & holding
                if len(holding[job_id]) > limits[job_id]
            },
        )


def _claims(connection: Connection) -> Mapping[Slot, frozenset[str]]:
    """The attempts of each slot: who has claimed something meanwhile was not idle, and needs no clock to show it."""
    claimed: dict[Slot, set[str]] = {}
    query = select(attempts.c.id, attempts.c.worker_id, attempts.c.incarnation, attempts.c.slot)
    for row in connection.execute(query):
        claimed.setdefault((row.worker_id, row.incarnation, row.slot), set()).add(row.id)
    return {slot: frozenset(ids) for slot, ids in claimed.items()}
