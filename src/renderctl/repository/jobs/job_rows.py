"""Rows of jobs: found, locked, and conditions on their tasks and dependencies."""

from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from renderctl.core.errors import NotFound
from renderctl.core.jobs import Job
from renderctl.core.permissions import Visibility
from renderctl.core.states import ENDED_JOB, OPEN_TASK, JobState, TaskState
from renderctl.repository.schema.jobs import by_state, job_dependencies, jobs, tasks
from renderctl.repository.schema.mappers import (
    to_job,
    visible,
)

#: States of jobs that were stopped: nothing more of them is rendered, whatever still runs.
STOPPED = (JobState.CANCELED, JobState.FAILED)
#: States of tasks that wait, and never start once their job is stopped.
WAITING = (TaskState.QUEUED, TaskState.BLOCKED)
#: Whether the job has an open task: state by state, as the index serves one value after the other.
HAS_OPEN_TASK = or_(
    *(by_state.where(tasks.c.job_id == jobs.c.id, tasks.c.state == state).exists() for state in sorted(OPEN_TASK))
)
#: Whether no job waits for a job (joined as `jobs`) any more: it has ended as required, or was removed.
NOT_AWAITED = or_(
    jobs.c.state == JobState.SUCCEEDED,
    and_(job_dependencies.c.any_end, jobs.c.state.in_(sorted(ENDED_JOB))),
    jobs.c.removed_at.is_not(None),
)


def find_row(connection: Connection, table: Any, noun: str, ref: str, visibility: Visibility) -> Any:
    """Return a row by its id, a unique prefix of it, or its name if that is unique. Raises NotFound."""
    visible_rows = select(table).where(table.c.removed_at.is_(None), *visible(table, visibility))
    rows = connection.execute(visible_rows.where(table.c.id == ref)).all()
    if not rows and ref:
        rows = connection.execute(visible_rows.where(table.c.id >= ref, table.c.id < f"{ref}~").limit(6)).all()
        rows = rows or connection.execute(visible_rows.where(table.c.name == ref).limit(6)).all()
    if len(rows) == 1:
        return rows[0]
    if rows:
        listed = ", ".join(f"{row.id} ({row.name}, {row.state})" for row in rows)
        raise NotFound(f"{ref!r} means more than one {noun}.", hint=f"Say which by its id: {listed}")
    recent = connection.execute(visible_rows.order_by(table.c.id.desc()).limit(5)).all()
    listed = ", ".join(f"{row.id} ({row.name})" for row in recent)
    raise NotFound(
        f"There is no {noun} {ref!r}.", hint=f"The latest: {listed}" if listed else f"There is no {noun} yet."
    )


def lock_job(connection: Connection, job_id: str) -> Job:
    """Return the job and lock it until the transaction ends. Raises NotFound."""
    job = lock_job_if_present(connection, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def lock_job_if_present(connection: Connection, job_id: str) -> Job | None:
    """Return the job and lock it until the transaction ends; None: there is none, or it was removed."""
    row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
    return to_job(row) if row is not None and row.removed_at is None else None


def open_dependencies(job_id: str) -> Select[Any]:
    """Return the query of how many jobs the job still waits for."""
    return (
        select(func.count())
        .select_from(job_dependencies.join(jobs, jobs.c.id == job_dependencies.c.after_id))
        .where(job_dependencies.c.job_id == job_id, ~NOT_AWAITED)
    )
