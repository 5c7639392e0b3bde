"""Tasks that a person has rendered again."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from renderctl.core.actors import Actor
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Job
from renderctl.core.quotas import UNLIMITED, Quotas
from renderctl.core.states import ENDED_JOB, JobState, TaskState, predecessors, transition
from renderctl.repository.database import Database, add_audit_entry, db_now
from renderctl.repository.database.batches import FIRST_ROWS, BatchSize, let_others_write, write_batch
from renderctl.repository.jobs.claim_times import bring_forward
from renderctl.repository.jobs.job_rows import lock_job, open_dependencies
from renderctl.repository.jobs.task_states import move_first, move_tasks
from renderctl.repository.people.enabled import require_enabled
from renderctl.repository.quotas import lock_quotas, require_work
from renderctl.repository.schema.jobs import job_exclusions, jobs

_ENDED = tuple(predecessors(TaskState.QUEUED) - {TaskState.RUNNING, TaskState.BLOCKED})
_UNDONE = tuple(state for state in _ENDED if state is not TaskState.SUCCEEDED)


def retry_tasks(
    database: Database, job_id: str, *, actor: Actor, frames: Iterable[int] | None = None, quotas: Quotas = UNLIMITED
) -> tuple[Job, int]:
    """Do `Jobs.retry`."""
    numbers = None if frames is None else _numbers(database, job_id, frames)

    def beginning(connection: Connection) -> tuple[Job, int]:
        require_enabled(connection, actor)
        job = lock_job(connection, job_id)
        connection.execute(job_exclusions.delete().where(job_exclusions.c.job_id == job_id))
        count = _queue_again(connection, job, chosen, FIRST_ROWS)
        if count and job.state in ENDED_JOB:
            limits = quotas.of(job.owner, job.project)
            lock_quotas(connection, limits)
            require_work(connection, limits)
        add_audit_entry(connection, actor, "job.retry", job_id, tasks=count)
        return lock_job(connection, job_id), count

    def going_on(connection: Connection) -> int:
        job = lock_job(connection, job_id)
        canceled = bool(total) and job.state is JobState.CANCELED  # by somebody, since the first batch
        return 0 if canceled else _queue_again(connection, job, chosen, limit)

    size, total, limit = BatchSize(), 0, FIRST_ROWS
    chosen = None if numbers is None else list(islice(numbers, FIRST_ROWS))
    job, count = database.durable_write(
        beginning, recover=lambda c, audit: (lock_job(c, job_id), int(audit.details["tasks"]))
    )
    total += count
    while count >= limit if numbers is None else (chosen := list(islice(numbers, FIRST_ROWS))):
        limit = size.rows
        total += (count := write_batch(database, size, going_on))
        let_others_write(database, size)
    return (database.read(lambda connection: lock_job(connection, job_id)) if total else job), total


def _numbers(database: Database, job_id: str, frames: Iterable[int]) -> Iterator[int]:
    """Yield the numbers of the tasks that render the frames."""
    job = database.read(lambda connection: lock_job(connection, job_id))
    requested, number = frozenset(frames), 0
    for frame in FrameSet.parse(job.frames):
        for _ in job.cameras:
            number += 1
            if frame in requested:
                yield number


def _queue_again(connection: Connection, job: Job, numbers: list[int] | None, limit: int) -> int:
    """Queue the tasks with these numbers, or the first `limit` that failed or were canceled; return how many."""
    waits = connection.execute(open_dependencies(job.id)).scalar_one()
    target = TaskState.BLOCKED if waits else TaskState.QUEUED
    fresh = {"attempts": 0, "attempt_id": None, "not_before": None, "error": None}
    count = 0
    if numbers is None:
        for state in _UNDONE:
            if count < limit:
                count += move_first(connection, job.id, limit - count, state, target, **fresh)
    elif numbers:
        count = sum(move_tasks(connection, job.id, numbers, state, target, **fresh) for state in _ENDED)
    if count and target is TaskState.QUEUED:
        bring_forward(connection, job.id, db_now(connection))
    if count and job.state in ENDED_JOB:
        transition(job.state, JobState.RUNNING)
        again: dict[str, Any] = {"state": JobState.RUNNING, "finished_at": None, "error": None, "bound_to": None}
        again |= {"output_bytes": None, "stop_settled": False}
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(again))
    return count
