"""Workers: registered, heard, drained, listed."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, func, select, true

from renderctl.core.actors import Actor
from renderctl.core.errors import NotFound, WorkerNameTaken, did_you_mean
from renderctl.core.jobs import Attempt
from renderctl.core.permissions import Visibility
from renderctl.core.states import OPEN_ATTEMPT, PRESENT_WORKER_STATES, AttemptState, JobState, WorkerState
from renderctl.core.workers import CurrentWork, Heartbeat, HeartbeatReply, Quarantined, Worker, effective_state
from renderctl.repository.attempts.lifecycle import requeue_attempts
from renderctl.repository.attempts.quarantine import clear_exclusions, quarantine, suspects
from renderctl.repository.database import Part, add_audit_entry, db_now, read, write
from renderctl.repository.schema.jobs import attempts, job_exclusions, jobs, worker_pools, workers
from renderctl.repository.schema.mappers import ANY_ATTEMPT, to_work, to_worker, visible

#: The actor of signals to a worker.
_NODE = Actor("a signal", "worker")

_SEEN = (
    attempts.update()
    .where(attempts.c.id.in_(bindparam("ids", expanding=True)), attempts.c.state.in_(OPEN_ATTEMPT))
    .values(seen_at=bindparam("now"), progress=bindparam("reached"))
)
#: From an index alone.
_IDLE_WORKERS = (
    select(func.count()).select_from(workers).where(workers.c.state == WorkerState.ACTIVE, workers.c.idle == true())
)

#: Workers that are deleted in one transaction.
_BATCH = 1000


class Workers(Part):
    """The workers of the farm."""

    @write
    def register(self, connection: Connection, worker: Worker, *, actor: Actor) -> list[Attempt]:
        """Register a worker that starts; requeue what an earlier incarnation held, and return those attempts.

        If it was drained or quarantined it stays so. Raises WorkerNameTaken while a worker of that name on another node
        is alive.
        """
        now = db_now(connection)
        known = connection.execute(select(workers).where(workers.c.id == worker.id)).first()
        if known is not None:
            self._require_same_node(worker, known, now)
        hold = WorkerState(known.held) if known is not None and known.held else None
        row: dict[str, Any] = {
            "host": worker.host,
            "node": worker.node,
            "state": effective_state(hold, worker.reason),
            "reason": known.reason if known is not None and hold else worker.reason,
            "incarnation": worker.incarnation,
            "slots": worker.slots,
            "capabilities": asdict(worker.capabilities),
            "started_at": now,
            "seen_at": now,
            "idle": False,
        }
        changed = connection.execute(workers.update().where(workers.c.id == worker.id).values(row))
        if changed.rowcount == 0:
            connection.execute(workers.insert(), {"id": worker.id, **row})
        connection.execute(worker_pools.delete().where(worker_pools.c.worker_id == worker.id))
        pools = [{"worker_id": worker.id, "pool": pool} for pool in dict.fromkeys(worker.pools)]
        connection.execute(worker_pools.insert(), pools)
        add_audit_entry(connection, actor, "worker.start", worker.id, host=worker.host)
        stale = (attempts.c.worker_id == worker.id) & (attempts.c.incarnation != worker.incarnation)
        return requeue_attempts(connection, stale, "its worker was started again")

    @write
    def heartbeat(self, connection: Connection, beat: Heartbeat) -> HeartbeatReply:
        """Note a heartbeat in one transaction; the reply says which attempts to stop."""
        now = db_now(connection)
        own_row = (workers.c.id == beat.worker_id) & (workers.c.incarnation == beat.incarnation)
        # Locked: else a heartbeat could overwrite a hold, and its reason, that was set since it read them.
        row = connection.execute(select(workers.c.held, workers.c.reason).where(own_row).with_for_update()).first()
        if row is None:
            return HeartbeatReply(stop=frozenset(beat.progress), superseded=True)
        hold, reason = (WorkerState(row.held), row.reason) if row.held else (None, beat.problem)
        if beat.drain is not None:
            hold, reason = _set_hold(connection, beat.worker_id, _NODE, drain=beat.drain)
        state = effective_state(hold, beat.problem)
        reason = reason if state != WorkerState.ACTIVE else None
        changes = {"seen_at": now, "state": state, "reason": reason, "idle": beat.idle}
        if beat.capabilities is not None:
            changes["capabilities"] = asdict(beat.capabilities)
        connection.execute(workers.update().where(own_row).values(changes))
        for progress in sorted(set(beat.progress.values())):  # attempts that wait are all at 0
            alike = [attempt_id for attempt_id, reached in beat.progress.items() if reached == progress]
            connection.execute(_SEEN, {"ids": alike, "now": now, "reached": progress})
        idle_workers = connection.execute(_IDLE_WORKERS).scalar_one() if beat.count_idle else None
        return HeartbeatReply(_attempts_to_stop(connection, beat), state, idle_workers=idle_workers)

    @write
    def deregister(self, connection: Connection, worker_id: str, incarnation: str, *, actor: Actor) -> None:
        """Note that a worker leaves; what it still held is requeued."""
        own_row = (workers.c.id == worker_id) & (workers.c.incarnation == incarnation)
        changed = connection.execute(workers.update().where(own_row).values(state=WorkerState.GONE))
        if changed.rowcount:
            held_attempts = (attempts.c.worker_id == worker_id) & (attempts.c.incarnation == incarnation)
            requeue_attempts(connection, held_attempts, "its worker left")
            add_audit_entry(connection, actor, "worker.stop", worker_id)

    @read
    def all(self, connection: Connection, *, include_gone: bool = False) -> list[Worker]:
        """Return the workers; with `include_gone` those that have left, too."""
        query = select(workers).order_by(workers.c.id)
        if not include_gone:
            query = query.where(workers.c.state != WorkerState.GONE)
        held: dict[str, list[str]] = {}
        open_attempts = select(attempts).where(attempts.c.state == AttemptState.RUNNING)
        for row in connection.execute(open_attempts):
            held.setdefault(row.worker_id, []).append(f"{row.job_id}-{row.number}")
        pools: dict[str, list[str]] = {}
        for row in connection.execute(select(worker_pools).order_by(worker_pools.c.pool)):
            pools.setdefault(row.worker_id, []).append(row.pool)
        return [
            to_worker(row, tuple(pools.get(row.id, ())), tuple(held.get(row.id, ())))
            for row in connection.execute(query)
        ]

    @read
    def current_work(self, connection: Connection, visibility: Visibility) -> list[CurrentWork]:
        """Return what the slots are doing, the longest first; jobs that are not visible are left out."""
        query = (
            ANY_ATTEMPT.add_columns(jobs.c.name.label("job"))
            .outerjoin(jobs, and_(jobs.c.id == attempts.c.job_id, *visible(jobs, visibility)))
            .where(attempts.c.state == AttemptState.RUNNING)
            .order_by(attempts.c.id)
        )
        return [to_work(row) for row in connection.execute(query)]

    def drain(self, worker_ref: str, *, actor: Actor, resume: bool = False) -> Worker:
        """Let a worker finish what it holds and take no more; with `resume`: let it take work again, and clear its
        exclusions.

        Raises NotFound.
        """

        def writing(connection: Connection) -> str:
            worker_id = _find_worker_id(connection, worker_ref)
            there = connection.scalar(select(workers.c.state).where(workers.c.id == worker_id).with_for_update())
            hold, reason = _set_hold(connection, worker_id, actor, drain=not resume)
            changes: dict[str, Any] = {"reason": reason}
            if there in PRESENT_WORKER_STATES and (hold is not None or there != WorkerState.UNHEALTHY):
                changes["state"] = effective_state(hold, None)
            connection.execute(workers.update().where(workers.c.id == worker_id).values(changes))
            return worker_id

        worker_id = self._database.write(writing)
        return next(worker for worker in self.all(include_gone=True) if worker.id == worker_id)

    def _require_same_node(self, worker: Worker, known: Any, now: datetime) -> None:
        silent = now - timedelta(seconds=self._database.heartbeat_limit_s)
        alive = known.state in PRESENT_WORKER_STATES and known.seen_at >= silent
        if alive and known.node is not None and known.node != worker.node:
            raise WorkerNameTaken(
                f"A worker called {worker.id!r} is at work on {known.host} already.", hint="Give it another --name."
            )

    @read
    def alive_in_pool(self, connection: Connection, pool: str) -> list[Worker]:
        """Return the workers of a pool whose heartbeats arrive, in whatever state."""
        silent = db_now(connection) - timedelta(seconds=self._database.heartbeat_limit_s)
        query = (
            select(workers)
            .join(worker_pools, worker_pools.c.worker_id == workers.c.id)
            .where(worker_pools.c.pool == pool, workers.c.state.in_(PRESENT_WORKER_STATES), workers.c.seen_at >= silent)
            .order_by(workers.c.id)
        )
        return [to_worker(row, (pool,)) for row in connection.execute(query)]

    @read
    def slots_on_job(self, connection: Connection, job_id: str) -> int:
        """Return how many slots work on a job."""
        held = select(attempts.c.worker_id, attempts.c.slot).where(
            attempts.c.job_id == job_id, attempts.c.state.in_(OPEN_ATTEMPT)
        )
        return len(connection.execute(held.distinct()).all())

    @read
    def busy_slots(self, connection: Connection, pool: str) -> dict[str, int]:
        """Return for each worker of a pool how many of its slots work."""
        busy = (
            select(attempts.c.worker_id, attempts.c.slot)
            .join(worker_pools, worker_pools.c.worker_id == attempts.c.worker_id)
            .where(worker_pools.c.pool == pool, attempts.c.state.in_(OPEN_ATTEMPT))
            .distinct()
            .subquery()
        )
        query = select(busy.c.worker_id, func.count()).group_by(busy.c.worker_id)
        return {row[0]: row[1] for row in connection.execute(query)}

    @read
    def on_job(self, connection: Connection, job_id: str) -> list[str]:
        """Return the ids of the workers that render something of the job."""
        query = select(attempts.c.worker_id).where(attempts.c.job_id == job_id, attempts.c.state.in_(OPEN_ATTEMPT))
        return list(connection.scalars(query.distinct()))

    def quarantine(self) -> list[Quarantined]:
        """Quarantine the workers that several jobs prove to be bad, at most half of those present; return them."""
        return self._database.write(quarantine) if self._database.read(suspects) else []

    @write
    def delete_unseen(self, connection: Connection, days: float) -> int:
        """Delete some workers that were not seen for so many days; return how many.

        Workers that hold an attempt, are drained or quarantined stay: they would come back without that. Their attempts
        stay.
        """
        unseen = workers.c.seen_at < db_now(connection) - timedelta(days=days)
        holds = exists().where(attempts.c.worker_id == workers.c.id, attempts.c.state.in_(OPEN_ATTEMPT))
        absent = workers.c.state.not_in(PRESENT_WORKER_STATES) & workers.c.held.is_(None)
        query = select(workers.c.id).where(unseen, absent, ~holds).order_by(workers.c.id).limit(_BATCH)
        ids = list(connection.scalars(query.with_for_update(of=workers, skip_locked=True)))
        for column in (worker_pools.c.worker_id, job_exclusions.c.worker_id, workers.c.id):
            connection.execute(column.table.delete().where(column.in_(ids)))
        return len(ids)


def _set_hold(
    connection: Connection, worker_id: str, actor: Actor, *, drain: bool
) -> tuple[WorkerState | None, str | None]:
    """Drain a worker or resume it; return its hold and the reason."""
    add_audit_entry(connection, actor, "worker.drain" if drain else "worker.resume", worker_id)
    hold = WorkerState.DRAINING if drain else None
    connection.execute(workers.update().where(workers.c.id == worker_id).values(held=hold))
    if not drain:
        clear_exclusions(connection, worker_id)
    return hold, f"asked for by {actor.name}" if drain else None


def _attempts_to_stop(connection: Connection, beat: Heartbeat) -> frozenset[str]:
    """Return the ids of attempts that the worker should stop: those that it lost, and those of stopped jobs."""
    if not beat.progress:
        return frozenset()
    stopped = select(jobs.c.id).where(jobs.c.state.in_((JobState.CANCELED, JobState.FAILED)))
    query = select(attempts.c.id).where(attempts.c.id.in_(list(beat.progress)))
    still_owned = set(
        connection.scalars(query.where(attempts.c.state.in_(OPEN_ATTEMPT), attempts.c.job_id.not_in(stopped)))
    )
    return frozenset(set(beat.progress) - still_owned)


def _find_worker_id(connection: Connection, ref: str) -> str:
    """Return a worker's id by it or a unique prefix; of those that have left only by the whole id. Raises NotFound."""
    rows = connection.execute(select(workers.c.id, workers.c.state)).all()
    present_ids = [row.id for row in rows if row.state != WorkerState.GONE]
    matches = [row.id for row in rows if row.id == ref] or [
        worker_id for worker_id in present_ids if worker_id.startswith(ref)
    ]
    if len(matches) != 1:
        raise NotFound(f"There is no worker {ref!r} at work.", hint=did_you_mean(ref, present_ids))
    return str(matches[0])
