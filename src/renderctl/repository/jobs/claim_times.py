"""From when on idle slots look at a job: `job.claimable_at`, the time at which the first of its queued tasks is due.

Whoever queues a task brings the time forward, in the same transaction; whoever has locked the job and finds that
nothing of it is due moves it on. So it never hides a task for good, and what has nothing to give is looked at once.
Only for a job that has as many slots as it may is it a guess: until one of them leaves it, or the time is over.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, or_, select

from renderctl.core.states import TaskState
from renderctl.repository.schema.jobs import by_state, jobs, tasks

#: For how long a job that has as many slots as it may is passed over, should the slot that leaves it die of that.
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
    """When the first queued task of the job may be claimed: `now` at the earliest; None: none is queued."""
    if connection.execute(_DUE, {"job": job_id, "now": now}).first():
        return now
    earliest: datetime | None = connection.scalar(_EARLIEST, {"job": job_id})
    return max(now, earliest) if earliest else None


def bring_forward(connection: Connection, job_id: str, at: datetime) -> None:
    """A task of the job may be claimed from this time on. Called after the task was queued."""
    connection.execute(_BRING_FORWARD, {"job": job_id, "at": at})


def move_on(connection: Connection, job_id: str, at: datetime | None) -> None:
    """Have idle slots pass over a job, which is locked, until then."""
    connection.execute(_SET, {"job": job_id, "at": at})


def correct(connection: Connection, job_id: str, now: datetime) -> None:
    """Have the time say what the tasks do, unless somebody else has locked the job: then they, or the next, do it."""
    row = connection.execute(_LOCK, {"job": job_id}).first()
    if row is None:
        return
    due = due_at(connection, job_id, now)  # with the lock: whoever queues a task after this brings the time forward
    if not agrees(row.claimable_at, due, now):
        move_on(connection, job_id, due)


def agrees(claimable_at: datetime | None, due: datetime | None, now: datetime) -> bool:
    """Whether idle slots look at a job when something of it is due."""
    if claimable_at is None or due is None:
        return claimable_at is due
    return claimable_at == due or max(claimable_at, due) <= now
