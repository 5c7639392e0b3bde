"""Attempts started, failed, given back. The id of an attempt is its fencing token."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Attempt, Failure, Fault, retry_delay
from renderctl.core.states import OPEN_ATTEMPT, AttemptState, JobState, TaskState
from renderctl.core.webhooks import Event
from renderctl.repository.attempts.quarantine import exclude_after_failures
from renderctl.repository.counts import count_ended_attempts
from renderctl.repository.database import db_now
from renderctl.repository.jobs.claim_times import bring_forward
from renderctl.repository.jobs.job_rows import STOPPED
from renderctl.repository.jobs.task_states import move_from_running
from renderctl.repository.schema.jobs import attempts, jobs, tasks
from renderctl.repository.schema.mappers import ANY_ATTEMPT, to_attempt
from renderctl.repository.webhooks.outbox import add_event

_START = (
    attempts.update()
    .where(attempts.c.id == bindparam("attempt"), attempts.c.state.in_(OPEN_ATTEMPT))
    .values(state=AttemptState.RUNNING, seen_at=bindparam("now"))
    .values(started_at=func.coalesce(attempts.c.started_at, bindparam("now")))
)


def fail(connection: Connection, attempt: Attempt, failure: Failure, cost: Cost) -> float | None:
    """Do the transaction of `Attempts.fail`."""
    used = connection.execute(
        select(tasks.c.attempts, jobs.c.max_attempts, jobs.c.state)
        .join(jobs, jobs.c.id == tasks.c.job_id)
        .where(tasks.c.job_id == attempt.job_id, tasks.c.number == attempt.number)
        .with_for_update(of=jobs)  # the job is stopped or resumed before or after this, never in between
    ).first()
    if used is None:  # the job was removed
        return None
    delay_s = retry_delay(failure, used.attempts + 1, used.max_attempts)
    if not move_from_running(connection, attempt, **_after(connection, failure, used, delay_s)):
        return _delay_of_failed(connection, attempt)
    reason = {"fault": failure.fault.value, "error": failure.reason}
    _end(connection, attempt, AttemptState.FAILED, cost, **reason)
    if delay_s is not None:
        bring_forward(connection, attempt.job_id, db_now(connection) + timedelta(seconds=delay_s))
    if failure.fault is Fault.MACHINE:
        exclude_after_failures(connection, attempt)
    if delay_s is None and used.state not in STOPPED:
        _add_task_failed(connection, attempt, used.attempts + 1, failure.reason)
    if delay_s is None and failure.whole_job:
        _fail_job(connection, attempt.job_id, failure.reason)
    return delay_s if used.state not in STOPPED else None


def give_back(
    connection: Connection, attempt: Attempt, state: AttemptState, reason: str, *, charge: bool = False
) -> None:
    """Take the task away from an attempt: requeue it, or end it if its job was stopped or its attempts are used up.

    `charge`: count the attempt as one of the task's.
    """
    job = connection.execute(
        select(jobs.c.state, jobs.c.max_attempts, tasks.c.attempts)
        .join(tasks, tasks.c.job_id == jobs.c.id)
        .where(jobs.c.id == attempt.job_id, tasks.c.number == attempt.number)
        .with_for_update(of=jobs)
    ).first()
    if job is None:  # it was removed
        return
    used = job.attempts + int(charge)
    changes: dict[str, Any] = {"state": TaskState.QUEUED, "attempts": used}
    if job.state in STOPPED:
        changes["state"] = TaskState.CANCELED
    elif charge and used >= job.max_attempts:
        changes |= {"state": TaskState.FAILED, "error": reason}
    left = move_from_running(connection, attempt, **changes)
    _end(connection, attempt, state, Cost(), error=reason)
    if job.state not in STOPPED:  # even if the task has ended: the job may only have lacked a slot
        bring_forward(connection, attempt.job_id, db_now(connection))
    if left and changes["state"] is TaskState.FAILED:
        _add_task_failed(connection, attempt, used, reason)


def requeue_attempts(connection: Connection, which: Any, reason: str) -> list[Attempt]:
    """Take away the open attempts that match; return them. Those that had started are charged."""
    query = ANY_ATTEMPT.where(attempts.c.state.in_(OPEN_ATTEMPT), which)
    lost = [to_attempt(row) for row in connection.execute(query)]
    for attempt in lost:
        started = attempt.state is AttemptState.RUNNING
        state = AttemptState.LOST if started else AttemptState.RELEASED
        give_back(connection, attempt, state, reason, charge=started)
    return lost


def _after(connection: Connection, failure: Failure, used: Any, delay_s: float | None) -> dict[str, Any]:
    changes: dict[str, Any] = {"attempts": used.attempts + 1, "error": failure.reason}
    if used.state in STOPPED:
        return changes | {"state": TaskState.CANCELED}
    if delay_s is None:
        return changes | {"state": TaskState.FAILED}
    return changes | {"state": TaskState.QUEUED, "not_before": db_now(connection) + timedelta(seconds=delay_s)}


def start(connection: Connection, attempt: Attempt) -> bool:
    """Do the transaction of `Attempts.start`."""
    changed = connection.execute(_START, {"attempt": attempt.id, "now": db_now(connection)})
    return changed.rowcount == 1


def _end(connection: Connection, attempt: Attempt, state: AttemptState, cost: Cost, **changes: Any) -> None:
    now = db_now(connection)
    changes |= {"seconds": cost.seconds, "memory_mb": cost.memory_mb, "device": cost.device}
    open_attempt = (attempts.c.id == attempt.id) & attempts.c.state.in_(OPEN_ATTEMPT)
    ended = connection.execute(attempts.update().where(open_attempt).values(state=state, ended_at=now, **changes))
    count_ended_attempts(connection, attempt.job_id, state, ended.rowcount, worker_id=attempt.worker_id)


def _fail_job(connection: Connection, job_id: str, reason: str) -> None:
    running = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
    changed = connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.state.in_(running))
        .values(state=JobState.FAILED, error=reason, finished_at=db_now(connection), stop_settled=False)
    )
    if changed.rowcount:
        add_event(connection, Event.JOB_FAILED, job_id)


def _add_task_failed(connection: Connection, attempt: Attempt, tries: int, reason: str) -> None:
    """Add the event that a task has failed for good."""
    payload = {**task_document(attempt), "attempts": tries, "error": reason}
    add_event(connection, Event.TASK_FAILED, attempt.job_id, [{"task": payload}])


def _delay_of_failed(connection: Connection, attempt: Attempt) -> float | None:
    """Return the delay that `fail` has returned before, if its answer was lost."""
    query = (
        select(tasks.c.not_before)
        .join(attempts, (attempts.c.job_id == tasks.c.job_id) & (attempts.c.number == tasks.c.number))
        .where(attempts.c.id == attempt.id, attempts.c.state == AttemptState.FAILED)
        .where(tasks.c.attempt_id == attempt.id, tasks.c.state == TaskState.QUEUED)
    )
    row = connection.execute(query).first()
    if row is None or row.not_before is None:
        return None
    return max(0.0, float((row.not_before - db_now(connection)).total_seconds()))


def task_document(attempt: Attempt) -> dict[str, Any]:
    """Return what an event says of its task."""
    return {"id": attempt.task_id, "number": attempt.number, "frame": attempt.frame, "camera": attempt.camera}
