"""Recovery: how the sweep requeues what crashed."""

from datetime import timedelta

from sqlalchemy import Connection, or_, select

from renderctl.core.jobs import RETRY_DELAYS_S, Attempt, Job
from renderctl.core.states import OPEN_ATTEMPT, OPEN_JOB, PRESENT_WORKER_STATES, JobState, TaskState, WorkerState
from renderctl.core.workers import SweepLease
from renderctl.repository.attempts.lifecycle import requeue_attempts
from renderctl.repository.database import Database, Part, db_now, read, write
from renderctl.repository.jobs.deletion import delete_removed_batch
from renderctl.repository.jobs.job_rows import HAS_OPEN_TASK, NOT_AWAITED, STOPPED, WAITING
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.leases import SWEEP, Leases
from renderctl.repository.schema.jobs import attempts, by_state, job_dependencies, jobs, tasks, workers
from renderctl.repository.schema.mappers import to_job

#: Seconds without service after which a job's ticket counts as lost; doubled with each new one, up to the limit.
_UNSERVED_S, _UNSERVED_LIMIT_S = 10.0, 600.0
#: Tasks of a job that one sweep cancels: the heartbeat thread of a worker sweeps, and must not stall.
_CANCELED_AT_ONCE = 20_000
#: Stopped jobs that one sweep looks at.
_SETTLED_AT_ONCE = 500


class Recovery(Part):
    """The steps of the sweep, each safe to repeat on its own."""

    def __init__(self, database: Database, leases: Leases, tasks: Tasks) -> None:
        super().__init__(database)
        self._leases = leases
        self._tasks = tasks

    def acquire_sweep_lease(self, holder: str, *, renew_start: bool = False) -> SweepLease:
        """Acquire or keep the sweep's lease for a heartbeat limit; `renew_start`: as if it were just acquired."""
        lease = self._leases.acquire(SWEEP, holder, renew_start=renew_start)
        if lease is None:
            return SweepLease(held=False, may_expire=False)
        return SweepLease(True, lease.held_s >= self._database.heartbeat_limit_s, lease.clock_set_back)

    def release_sweep_lease(self, holder: str) -> None:
        """Release the sweep's lease."""
        self._leases.release(SWEEP, holder)

    @write
    def expire_silent(self, connection: Connection) -> tuple[list[str], list[Attempt]]:
        """Mark workers that were silent for a heartbeat limit as lost and requeue their attempts; return the ids, and
        those.
        """
        silent = db_now(connection) - timedelta(seconds=self._database.heartbeat_limit_s)
        gone = workers.c.state.in_(PRESENT_WORKER_STATES) & (workers.c.seen_at < silent)
        lost_workers = list(connection.scalars(select(workers.c.id).where(gone)))
        if lost_workers:
            lost = workers.c.id.in_(lost_workers)
            connection.execute(workers.update().where(lost, gone).values(state=WorkerState.LOST))
        stale = attempts.c.seen_at < silent
        return lost_workers, requeue_attempts(connection, stale, "its worker went silent")

    @write
    def reset_future_times(self, connection: Connection) -> int:
        """After the database's clock was set back, set times that are ahead of it to now; return how many.

        Else no worker would expire, and nothing would be retried, until the clock has caught up.
        """
        now = db_now(connection)
        latest_retry = now + timedelta(seconds=RETRY_DELAYS_S[-1])
        changes = [
            workers.update().where(workers.c.seen_at > now).values(seen_at=now),
            attempts.update().where(attempts.c.state.in_(OPEN_ATTEMPT), attempts.c.seen_at > now).values(seen_at=now),
            tasks.update().where(tasks.c.not_before > latest_retry).values(not_before=now),
            jobs.update().where(jobs.c.state.in_(OPEN_JOB), jobs.c.served_at > now).values(served_at=now),
            jobs.update().where(jobs.c.claimable_at > latest_retry).values(claimable_at=now),
        ]
        return sum(connection.execute(change).rowcount for change in changes)

    @write
    def release_reservations(self, connection: Connection) -> list[str]:
        """Give jobs whose reserved worker is lost or gone back to their pool; return their ids."""
        alive = select(workers.c.id).where(workers.c.state.in_(PRESENT_WORKER_STATES))
        deserted = (
            jobs.c.bound_to.is_not(None)
            & jobs.c.bound_to.not_in(alive)
            & jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING))
        )
        job_ids = list(connection.scalars(select(jobs.c.id).where(deserted)))
        if job_ids:
            connection.execute(jobs.update().where(jobs.c.id.in_(job_ids), deserted).values(bound_to=None))
        return job_ids

    @read
    def finishable_jobs(self, connection: Connection) -> list[str]:
        """Return the ids of open jobs without an open task."""
        query = select(jobs.c.id).where(jobs.c.state.in_(OPEN_JOB), ~HAS_OPEN_TASK)
        return list(connection.scalars(query))

    def finish_cancellations(self) -> int:
        """Cancel tasks that a crash left queued in stopped jobs, some of a huge job at a time; return how many."""
        unsettled = jobs.c.state.in_(STOPPED) & ~jobs.c.stop_settled & jobs.c.removed_at.is_(None)
        waits = by_state.where(tasks.c.job_id == jobs.c.id, tasks.c.state.in_(WAITING)).exists()
        query = select(jobs.c.id, waits.label("waits")).where(unsettled).limit(_SETTLED_AT_ONCE)

        def settling(connection: Connection) -> None:
            # Requeuing a task locks its job's row: what does not wait once the rows are locked never will.
            stopped = select(jobs.c.id).where(jobs.c.id.in_(ids), unsettled).order_by(jobs.c.id).with_for_update()
            locked_ids = connection.scalars(stopped).all()
            settled = jobs.update().where(jobs.c.id.in_(locked_ids), ~waits)
            connection.execute(settled.values(stop_settled=True))

        rows = self._database.read(lambda connection: connection.execute(query).all())
        canceled = sum(self._tasks.cancel_waiting(row.id, most=_CANCELED_AT_ONCE) for row in rows if row.waits)
        if ids := [row.id for row in rows]:
            self._database.write(settling)
        return canceled

    def unblock_dependents(self) -> list[str]:
        """Queue the tasks of jobs whose dependencies have succeeded or were removed; return the ids of those jobs."""
        waiter = jobs.alias("waiter")  # an open job: links stay as long as their jobs
        done = select(jobs.c.id).join(job_dependencies, job_dependencies.c.after_id == jobs.c.id)
        done = done.where(job_dependencies.c.job_id == waiter.c.id, NOT_AWAITED).correlate(waiter)
        waits = by_state.where(tasks.c.job_id == waiter.c.id, tasks.c.state == TaskState.BLOCKED)
        query = select(waiter.c.id).where(waiter.c.state.in_(OPEN_JOB), waits.exists(), done.exists())
        waiting_ids = self._database.read(lambda connection: connection.scalars(query).all())
        return [job_id for job_id in waiting_ids if self._tasks.unblock(job_id)]

    @write
    def unserved_jobs(self, connection: Connection) -> list[Job]:
        """Return jobs with work that no worker came for in a while: their tickets may be lost. Each is returned ever
        more rarely.
        """
        now = db_now(connection)
        ready = or_(tasks.c.not_before.is_(None), tasks.c.not_before <= now)
        has_work = by_state.where(tasks.c.job_id == jobs.c.id, tasks.c.state == TaskState.QUEUED, ready)
        query = select(jobs).where(jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING)), has_work.exists())
        unserved = []
        for row in connection.execute(query).all():
            times = [time for time in (row.created_at, row.served_at, row.nudged_at) if time and time <= now]
            wait_s = min(_UNSERVED_S * 2**row.nudges, _UNSERVED_LIMIT_S)
            if not times or (now - max(times)).total_seconds() >= wait_s:
                unserved.append(to_job(row))
        if unserved:
            nudged = jobs.update().where(jobs.c.id.in_([job.id for job in unserved]))
            connection.execute(nudged.values(nudged_at=now, nudges=jobs.c.nudges + 1, claimable_at=now))
        return unserved

    @write
    def delete_removed_batch(self, connection: Connection) -> bool:
        """Delete some rows of removed jobs; return whether there may be more."""
        return delete_removed_batch(connection)
