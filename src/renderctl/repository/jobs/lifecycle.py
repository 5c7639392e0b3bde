"""Steps between the states of a job."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from renderctl.core.actors import Actor
from renderctl.core.jobs import Job
from renderctl.core.states import ENDED_JOB, JobState, TaskState, predecessors, transition
from renderctl.core.webhooks import Event
from renderctl.repository.database import add_audit_entry, db_now
from renderctl.repository.jobs.job_rows import HAS_OPEN_TASK, lock_job
from renderctl.repository.schema.jobs import by_state, jobs, tasks
from renderctl.repository.webhooks.outbox import add_event

_STATE_AND_WORK = select(
    jobs.c.state,
    HAS_OPEN_TASK.label("has_work"),
).where(jobs.c.id == bindparam("job"))

_ENDS = {
    JobState.SUCCEEDED: Event.JOB_SUCCEEDED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.CANCELED: Event.JOB_CANCELED,
}


def step(connection: Connection, job_id: str, state: JobState, actor: Actor, action: str) -> Job:
    """Move a job to a state, unless it is there already; return the job. Raises NotFound, IllegalTransition."""
    job = lock_job(connection, job_id)
    if job.state is state:
        return job
    transition(job.state, state)
    changes: dict[str, Any] = {"state": state, "pause_reason": None}
    if state in ENDED_JOB:
        changes |= {"finished_at": db_now(connection), "stop_settled": False}
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(changes))
    if state in ENDED_JOB:
        add_event(connection, _ENDS[state], job_id)
    add_audit_entry(connection, actor, action, job_id)
    return lock_job(connection, job_id)


def finish(connection: Connection, job_id: str) -> JobState | None:
    """End a job if none of its tasks is open; return its state if it has ended, now or before. Raises NotFound."""
    lock_job(connection, job_id)
    state = ending(connection, job_id)
    if state is None or state in ENDED_JOB:
        return state
    worst = _first_of(connection, job_id, TaskState.FAILED) or _first_of(connection, job_id, TaskState.CANCELED)
    state = JobState(worst.state) if worst else JobState.SUCCEEDED
    ended = connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.state.in_(predecessors(state)))
        .values(state=state, finished_at=db_now(connection), error=worst.error if worst else None)
    )
    if ended.rowcount:
        add_event(connection, _ENDS[state], job_id)
    return state


def _first_of(connection: Connection, job_id: str, state: TaskState) -> Row[Any] | None:
    """Return the first task of the job in this state."""
    query = by_state.add_columns(tasks.c.state, tasks.c.error)
    query = query.where(tasks.c.job_id == job_id, tasks.c.state == state).order_by(tasks.c.number).limit(1)
    return connection.execute(query).first()


def ending(connection: Connection, job_id: str) -> JobState | None:
    """Return the job's state if it has ended, RUNNING if it should end now, None while a task is open."""
    row = connection.execute(_STATE_AND_WORK, {"job": job_id}).first()
    if row is None or JobState(row.state) in ENDED_JOB:
        return JobState(row.state) if row else None
    return None if row.has_work else JobState.RUNNING
