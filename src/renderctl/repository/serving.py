"""Workers: registered, heard, drained, listed."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, select

from renderctl.actors import Actor
from renderctl.errors import NotFound, did_you_mean
from renderctl.jobs import Attempt
from renderctl.repository.attempting import Attempting
from renderctl.repository.rows import ANY_ATTEMPT, to_attempt, to_worker
from renderctl.repository.tables import attempts, jobs, worker_pools, workers
from renderctl.states import OPEN_ATTEMPT, AttemptState, JobState, WorkerState
from renderctl.workers import Beat, Orders, Worker

_PRESENT = (WorkerState.ACTIVE, WorkerState.DRAINING)


class Serving(Attempting):
    """The workers of the farm."""

    def register(self, worker: Worker, *, actor: Actor) -> list[Attempt]:
        """A worker starts: whatever an earlier incarnation of it held is taken away. Returns those attempts."""

        def writing(connection: Connection) -> list[Attempt]:
            now = self.now(connection)
            row: dict[str, Any] = {
                "host": worker.host,
                "state": WorkerState.ACTIVE,
                "incarnation": worker.incarnation,
                "slots": worker.slots,
                "capabilities": asdict(worker.capabilities),
                "started_at": now,
                "seen_at": now,
            }
            changed = connection.execute(workers.update().where(workers.c.id == worker.id).values(row))
            if changed.rowcount == 0:
                connection.execute(workers.insert(), {"id": worker.id, **row})
            connection.execute(worker_pools.delete().where(worker_pools.c.worker_id == worker.id))
            pools = [{"worker_id": worker.id, "pool": pool} for pool in dict.fromkeys(worker.pools)]
            connection.execute(worker_pools.insert(), pools)
            self.audit(connection, actor, "worker.start", worker.id, host=worker.host)
            stale = (attempts.c.worker_id == worker.id) & (attempts.c.incarnation != worker.incarnation)
            return self.lose(connection, stale, "its worker was started again")

        return self.write(writing)

    def beat(self, beat: Beat) -> Orders:
        """One heartbeat in one transaction; the answer says what to stop."""

        def writing(connection: Connection) -> Orders:
            now = self.now(connection)
            mine = (workers.c.id == beat.worker_id) & (workers.c.incarnation == beat.incarnation)
            row = connection.execute(select(workers.c.state).where(mine)).first()
            if row is None:
                return Orders(stop=frozenset(beat.progress), superseded=True)
            state = row.state if row.state in _PRESENT else WorkerState.ACTIVE
            connection.execute(workers.update().where(mine).values(seen_at=now, state=state))
            for attempt_id, progress in beat.progress.items():
                held = attempts.update().where(attempts.c.id == attempt_id, attempts.c.state.in_(OPEN_ATTEMPT))
                connection.execute(held.values(seen_at=now, progress=progress))
            return Orders(self._to_stop(connection, beat), drain=state == WorkerState.DRAINING)

        return self.write(writing)

    def leave(self, worker_id: str, incarnation: str, *, actor: Actor) -> None:
        """A worker goes in good order; what it still held is taken away from it."""

        def writing(connection: Connection) -> None:
            mine = (workers.c.id == worker_id) & (workers.c.incarnation == incarnation)
            changed = connection.execute(workers.update().where(mine).values(state=WorkerState.GONE))
            if changed.rowcount:
                held = (attempts.c.worker_id == worker_id) & (attempts.c.incarnation == incarnation)
                self.lose(connection, held, "its worker left")
                self.audit(connection, actor, "worker.stop", worker_id)

        self.write(writing)

    def workers(self, *, all_of_them: bool = False) -> list[Worker]:
        """The workers, those that are gone only on request."""

        def reading(connection: Connection) -> list[Worker]:
            query = select(workers).order_by(workers.c.id)
            if not all_of_them:
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

        return self.read(reading)

    def drain(self, worker_ref: str, *, actor: Actor, resume: bool = False) -> Worker:
        """Let a worker finish what it holds and take no more; or let it take work again."""

        def writing(connection: Connection) -> str:
            known = list(connection.scalars(select(workers.c.id).where(workers.c.state.in_(_PRESENT))))
            matches = [each for each in known if each == worker_ref] or [e for e in known if e.startswith(worker_ref)]
            if len(matches) != 1:
                raise NotFound(f"There is no worker {worker_ref!r} at work.", hint=did_you_mean(worker_ref, known))
            state = WorkerState.ACTIVE if resume else WorkerState.DRAINING
            connection.execute(workers.update().where(workers.c.id == matches[0]).values(state=state))
            self.audit(connection, actor, "worker.resume" if resume else "worker.drain", matches[0])
            return str(matches[0])

        worker_id = self.write(writing)
        return next(worker for worker in self.workers() if worker.id == worker_id)

    def serving_slots(self, pool: str) -> int:
        """How many slots of live workers serve a pool."""

        def reading(connection: Connection) -> int:
            query = (
                select(func.coalesce(func.sum(workers.c.slots), 0))
                .join(worker_pools, worker_pools.c.worker_id == workers.c.id)
                .where(worker_pools.c.pool == pool, workers.c.state == WorkerState.ACTIVE)
            )
            return int(connection.scalar(query) or 0)

        return self.read(reading)

    def busy_slots(self, pool: str) -> int:
        """How many slots of the workers that serve a pool are at work."""
        query = (
            select(attempts.c.worker_id, attempts.c.slot)
            .join(worker_pools, worker_pools.c.worker_id == attempts.c.worker_id)
            .where(worker_pools.c.pool == pool, attempts.c.state.in_(OPEN_ATTEMPT))
            .distinct()
        )
        return self.read(lambda connection: len(connection.execute(query).all()))

    def lose(self, connection: Connection, which: Any, reason: str) -> list[Attempt]:
        """Take away the open attempts that match: those that had started are charged, the others are free."""
        query = ANY_ATTEMPT.where(attempts.c.state.in_(OPEN_ATTEMPT), which)
        lost = [to_attempt(row) for row in connection.execute(query)]
        for attempt in lost:
            started = attempt.state is AttemptState.RUNNING
            state = AttemptState.LOST if started else AttemptState.RELEASED
            self.give_back(connection, attempt, state, reason, charge=started)
        return lost

    def _to_stop(self, connection: Connection, beat: Beat) -> frozenset[str]:
        stopped = select(jobs.c.id).where(jobs.c.state.in_((JobState.CANCELED, JobState.FAILED)))
        query = select(attempts.c.id).where(attempts.c.id.in_(list(beat.progress)))
        kept = set(
            connection.scalars(query.where(attempts.c.state.in_(OPEN_ATTEMPT), attempts.c.job_id.not_in(stopped)))
        )
        return frozenset(set(beat.progress) - kept)
