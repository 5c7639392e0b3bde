"""Removal of jobs: hidden at once in one transaction; their rows are deleted later in small ones."""

from sqlalchemy import ColumnElement, Connection, exists, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, IllegalTransition
from renderctl.core.jobs import RemovedJob
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, OPEN_JOB, JobState, TaskState
from renderctl.repository.counts import delete_counts, read_counts
from renderctl.repository.database import add_audit_entry, db_now
from renderctl.repository.database.batches import FIRST_ROWS
from renderctl.repository.jobs.job_rows import lock_job
from renderctl.repository.jobs.submission import is_abandoned
from renderctl.repository.jobs.task_states import delete_tasks
from renderctl.repository.quotas import free_uploads
from renderctl.repository.schema.jobs import (
    attempts,
    by_state,
    job_dependencies,
    job_exclusions,
    job_inputs,
    jobs,
    outputs,
    tasks,
)

#: Tasks that are deleted in one transaction, with their attempts and outputs: claims wait no longer than for that.
_BATCH = 1000


def remove(connection: Connection, job_id: str, actor: Actor, *, dry_run: bool) -> RemovedJob:
    """Do the transaction of `Jobs.remove`. Raises NotFound, IllegalTransition, Conflict."""
    job = lock_job(connection, job_id)
    if job.state in OPEN_JOB:
        raise IllegalTransition(f"Job {job_id} is {job.state}.", hint="--force cancels it first.")
    _require_idle(connection, job_id)
    removed = _count_contents(connection, job_id, job.name)
    if dry_run:
        return removed
    _unlink(connection, job_id, job.state)
    brought = select(job_inputs.c.digest).where(job_inputs.c.job_id == job_id)
    free_uploads(connection, job.owner, connection.scalars(brought).all())
    hidden = {"removed_at": db_now(connection), "idempotency_key": None, "bound_to": None}
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(hidden))
    details = {"name": job.name, "tasks": removed.tasks, "outputs": removed.outputs}
    add_audit_entry(connection, actor, "job.remove", job_id, **details, output_bytes=removed.output_bytes)
    return removed


def hide_unstarted(connection: Connection, job_id: str, reason: str, actor: Actor) -> None:
    """Hide a job that nobody has worked on. Raises IllegalTransition if somebody has."""
    if connection.execute(select(attempts.c.id).where(attempts.c.job_id == job_id).limit(1)).first():
        raise IllegalTransition(f"Job {job_id} has been worked on; it can only be canceled.")
    hidden = {"state": JobState.CANCELED, "removed_at": db_now(connection), "idempotency_key": None}
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(hidden))
    add_audit_entry(connection, actor, "job.discard", job_id, reason=reason)


def delete_unstarted_batch(connection: Connection, job_id: str) -> bool:
    """Delete some rows of a hidden job that nobody has worked on; return whether there are more."""
    first = connection.scalar(select(func.min(tasks.c.number)).where(tasks.c.job_id == job_id))
    if first is not None:
        delete_tasks(connection, job_id, first + FIRST_ROWS)
        return True
    for table in (job_dependencies, job_inputs):
        connection.execute(table.delete().where(table.c.job_id == job_id))
    delete_counts(connection, job_id)
    connection.execute(jobs.delete().where(jobs.c.id == job_id))
    return False


def delete_removed_batch(connection: Connection) -> bool:
    """Delete some rows of removed jobs; return whether there may be more."""
    now = db_now(connection)
    removed = select(jobs.c.id, jobs.c.submitting_until).where(jobs.c.removed_at.is_not(None), is_abandoned(now))
    job = connection.execute(removed.where(~_awaited()).order_by(jobs.c.id).limit(1)).first()
    if job is None:
        return False
    job_id = job.id
    if job.submitting_until is not None:  # it ran out: a submitter that wakes up finds that it has lost it
        taken = jobs.update().where(jobs.c.id == job_id, jobs.c.removed_at.is_not(None), is_abandoned(now))
        connection.execute(taken.values(submitting_until=None))
        return True
    first = connection.scalar(select(func.min(tasks.c.number)).where(tasks.c.job_id == job_id))
    if first is not None:
        for table in (outputs, attempts):
            connection.execute(table.delete().where(table.c.job_id == job_id, table.c.number < first + _BATCH))
        delete_tasks(connection, job_id, first + _BATCH)
        return True
    connection.execute(job_dependencies.delete().where(job_dependencies.c.after_id == job_id))
    for table in (job_inputs, job_exclusions, job_dependencies):
        connection.execute(table.delete().where(table.c.job_id == job_id))
    delete_counts(connection, job_id)
    connection.execute(jobs.delete().where(jobs.c.id == job_id))
    return True


def _require_idle(connection: Connection, job_id: str) -> None:
    held = select(attempts.c.worker_id).where(attempts.c.job_id == job_id, attempts.c.state.in_(OPEN_ATTEMPT))
    if worker := connection.scalar(held.limit(1)):
        raise IllegalTransition(f"Worker {worker} still renders a frame of job {job_id}.", hint="Try again soon.")


def _count_contents(connection: Connection, job_id: str, name: str) -> RemovedJob:
    counts = read_counts(connection, [job_id])[job_id]
    return RemovedJob(job_id, name, counts.tasks.total, counts.outputs, counts.output_bytes)


def _unlink(connection: Connection, job_id: str, state: JobState) -> None:
    """Remove the links between the job and others, with a note where one waited for its success. Raises Conflict."""
    waiting = select(jobs.c.id, jobs.c.state, jobs.c.notes, job_dependencies.c.any_end).join(
        job_dependencies, job_dependencies.c.job_id == jobs.c.id
    )
    rows = connection.execute(waiting.where(job_dependencies.c.after_id == job_id)).all()
    if state is not JobState.SUCCEEDED:
        if waits := [row.id for row in rows if row.state not in ENDED_JOB and not row.any_end]:
            hint = f"`renderctl cancel {waits[0]}` first."
            raise Conflict(f"Job {waits[0]} waits for job {job_id}, which is {state}.", hint=hint)
        note = f"It was to wait for job {job_id}, which was {state} and has been removed."
        for row in (row for row in rows if not row.any_end):
            connection.execute(jobs.update().where(jobs.c.id == row.id).values(notes=[*row.notes, note]))
    links = (job_dependencies.c.after_id == job_id) | (job_dependencies.c.job_id == job_id)
    connection.execute(job_dependencies.delete().where(links))


def _awaited() -> ColumnElement[bool]:
    """Whether tasks of another job are still blocked by this one: the sweep unblocks them before its rows go."""
    blocked = by_state.where(tasks.c.job_id == job_dependencies.c.job_id, tasks.c.state == TaskState.BLOCKED)
    return exists().where(job_dependencies.c.after_id == jobs.c.id, blocked.exists())
