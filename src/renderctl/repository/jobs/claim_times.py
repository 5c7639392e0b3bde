"""`job.claimable_at`: from when on idle slots look at a job; the time at which the first of its queued tasks is due.

Whoever queues a task brings the time forward in the same transaction; whoever has locked the job and finds nothing due
moves it on. So the time never hides a task for good, and a job with nothing to give is looked at once. It is a guess
only for a job at its slot limit: until a slot leaves it, or the time is over.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, or_, select

from renderctl.core.states import TaskState
from renderctl.repository.schema.jobs import by_state, jobs, tasks

#: How long a job at its slot limit is skipped if the slot that leaves it dies without a note.
FULL = timedelta(seconds=30)

_QUEUED = (tasks.c.job_id == bindparam("job"), tasks.c.state == TaskState.QUEUED)
_DUE = by_state.where(*_QUEUED, or_(tasks.c.not_before.is_(None), tasks.c.not_before <= bindparam("now"))).limit(1)
_EARLIEST = (
    select(func.min(tasks.c.not_before)).with_hint(tasks, "FORCE INDEX (ix_task_claim)", "mysql").where(*_QUEUED)
)
_SET = jobs.update().where(jobs.c.id == bindparam("job")).values(claimable_at=bindparam("at"))
_BRING_FORWARD = _SET.where(or_(jobs.c.claimable_at.is_(None), jobs.c.claimable_at > bindparam("at")))
_LOCK = select(jobs.c.claimable_at).where(jobs.c.id == bindparam("job")).with_for_update(skip_locked=True)


def due_at(connection: Connection, job_id: str, now: datetime) -> datetime | None:
    """Return when the first queued task of the job is due, `now` at the earliest; None: none is queued."""
    if connection.execute(_DUE, {"job": job_id, "now": now}).first():
        return now
    earliest: datetime | None = connection.scalar(_EARLIEST, {"job": job_id})
    return max(now, earliest) if earliest else None


def bring_forward(connection: Connection, job_id: str, at: datetime) -> None:
    """Note that a task of the job is claimable from this time on. Call it after the task was queued."""
    connection.execute(_BRING_FORWARD, {"job": job_id, "at": at})


def defer(connection: Connection, job_id: str, at: datetime | None) -> None:
    """Have idle slots skip a job, which is locked, until then."""
    connection.execute(_SET, {"job": job_id, "at": at})


def correct(connection: Connection, job_id: str, now: datetime) -> None:
    """Set the time to what the tasks say, unless another transaction has locked the job: then that one, or the next,
    does it.
    """
    row = connection.execute(_LOCK, {"job": job_id}).first()
    if row is None:
        return
    due = due_at(connection, job_id, now)  # under the lock: a task that is queued after this brings the time forward
    if not agrees(row.claimable_at, due, now):
        defer(connection, job_id, due)


def agrees(claimable_at: datetime | None, due: datetime | None, now: datetime) -> bool:
    """Return whether idle slots look at a job whenever something of it is due."""
    if claimable_at is None or due is None:
        return claimable_at is due
    return claimable_at == due or max(claimable_at, due) <= now
