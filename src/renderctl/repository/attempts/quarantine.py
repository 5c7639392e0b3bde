"""Whether the worker or the job is at fault when frames fail on one worker.

A worker that fails frame after frame of a job gets no more of them while another worker could render them (an
exclusion, for a day). A worker that several jobs exclude, while the very frames that failed on it succeed on others, is
quarantined until somebody resumes it: if it succeeds at nothing, or fails such frames of jobs that it can render as
often as it succeeds at anything. A job that fails everywhere proves nothing, nor does one that is too heavy for the
worker.
"""

from datetime import timedelta

from sqlalchemy import Connection, and_, exists, func, or_, select

from renderctl.core.actors import Actor
from renderctl.core.jobs import Attempt, Fault
from renderctl.core.states import PRESENT_WORKER_STATES, AttemptState, WorkerState
from renderctl.core.workers import Quarantined
from renderctl.repository.database import add_audit_entry, db_now
from renderctl.repository.schema.jobs import attempts, job_exclusions, workers

#: Failures in a row, within one job, after which it excludes the worker.
EXCLUDE_AFTER = 3
#: Jobs that have to exclude a worker before it is quarantined.
QUARANTINE_AFTER = 2
#: How long an exclusion lasts.
_EXCLUDED_FOR = timedelta(days=1)
_FARM = Actor("renderctl", "farm")
#: From the index of workers: with outdated statistics a server would read all attempts of a job instead.
_OF_WORKER = select(attempts.c.ended_at).with_hint(attempts, "FORCE INDEX (ix_attempt_worker)", "mysql")


def exclude_after_failures(connection: Connection, attempt: Attempt) -> None:
    """Exclude the attempt's worker from its job if it has failed too many frames of it in a row."""
    here = and_(attempts.c.job_id == attempt.job_id, attempts.c.worker_id == attempt.worker_id)
    failures = _OF_WORKER.where(here, attempts.c.state == AttemptState.FAILED, attempts.c.fault == Fault.MACHINE)
    last = connection.execute(failures.order_by(attempts.c.ended_at.desc()).limit(EXCLUDE_AFTER)).all()
    if len(last) < EXCLUDE_AFTER:
        return
    successes = _OF_WORKER.where(here, attempts.c.state == AttemptState.SUCCEEDED)
    if connection.execute(successes.where(attempts.c.ended_at >= last[-1].ended_at).limit(1)).first():
        return
    pair = {"job_id": attempt.job_id, "worker_id": attempt.worker_id}
    connection.execute(job_exclusions.delete().filter_by(**pair))
    connection.execute(job_exclusions.insert(), {**pair, "at": db_now(connection)})


def clear_exclusions(connection: Connection, worker_id: str) -> None:
    """Remove all exclusions of a worker: it was resumed."""
    connection.execute(job_exclusions.delete().where(job_exclusions.c.worker_id == worker_id))
    connection.execute(workers.update().where(workers.c.id == worker_id).values(judged_at=db_now(connection)))


def quarantine(connection: Connection) -> list[Quarantined]:
    """Do the transaction of `Workers.quarantine`."""
    connection.execute(job_exclusions.delete().where(job_exclusions.c.at < db_now(connection) - _EXCLUDED_FOR))
    by_hold = select(workers.c.held, func.count()).where(workers.c.state.in_(PRESENT_WORKER_STATES))
    counted = {row[0]: row[1] for row in connection.execute(by_hold.group_by(workers.c.held))}
    room = sum(counted.values()) // 2 - counted.get(WorkerState.QUARANTINED, 0)
    quarantined: list[Quarantined] = []
    for worker_id in suspects(connection):
        if len(quarantined) < room:
            jobs = _confirmed_failures(connection, worker_id)
            if len(jobs) >= QUARANTINE_AFTER:
                quarantined.append(_quarantine(connection, worker_id, jobs))
    return quarantined


def _confirmed_failures(connection: Connection, worker_id: str) -> list[str]:
    """Return the jobs that exclude the worker while others render what it failed; none if the worker is of use."""
    excluding = select(job_exclusions.c.job_id).where(job_exclusions.c.worker_id == worker_id)
    failed, elsewhere = attempts.alias("failed"), attempts.alias("elsewhere")
    judged = select(workers.c.judged_at).where(workers.c.id == worker_id).scalar_subquery()
    held_against = and_(
        failed.c.worker_id == worker_id,
        failed.c.state == AttemptState.FAILED,
        failed.c.fault == Fault.MACHINE,
        failed.c.job_id.in_(excluding),
        or_(judged.is_(None), failed.c.ended_at > judged),
    )
    first = connection.scalar(select(func.min(failed.c.ended_at)).where(held_against))
    if first is None:
        return []
    done = exists().where(
        elsewhere.c.job_id == failed.c.job_id,
        elsewhere.c.number == failed.c.number,
        elsewhere.c.state == AttemptState.SUCCEEDED,
        elsewhere.c.worker_id != worker_id,
    )
    counting = select(failed.c.job_id, func.count()).where(held_against, done).group_by(failed.c.job_id)
    failures: dict[str, int] = {row[0]: row[1] for row in connection.execute(counting)}
    worked = and_(
        attempts.c.worker_id == worker_id, attempts.c.state == AttemptState.SUCCEEDED, attempts.c.ended_at > first
    )
    # No more than could outweigh all that it has failed.
    succeeded = list(connection.scalars(select(attempts.c.job_id).where(worked).limit(sum(failures.values()) + 1)))
    if not succeeded:
        return list(failures)
    able = {job_id: count for job_id, count in failures.items() if _renders(connection, worker_id, job_id)}
    return list(able) if sum(able.values()) >= len(succeeded) else []


def _renders(connection: Connection, worker_id: str, job_id: str) -> bool:
    """Whether the worker has rendered a frame of the job: then the job is not too heavy for it."""
    query = _OF_WORKER.where(attempts.c.job_id == job_id, attempts.c.worker_id == worker_id)
    return connection.execute(query.where(attempts.c.state == AttemptState.SUCCEEDED).limit(1)).first() is not None


def _quarantine(connection: Connection, worker_id: str, jobs: list[str]) -> Quarantined:
    last = connection.scalar(
        select(attempts.c.error)
        .where(attempts.c.worker_id == worker_id, attempts.c.state == AttemptState.FAILED)
        .order_by(attempts.c.ended_at.desc())
        .limit(1)
    )
    reason = f"frames of {len(jobs)} jobs failed here and succeeded elsewhere ({', '.join(sorted(jobs))}): {last}"
    state = WorkerState.QUARANTINED
    held = {"state": state, "held": state, "reason": reason}
    connection.execute(workers.update().where(workers.c.id == worker_id).values(held))
    add_audit_entry(connection, _FARM, "worker.quarantine", worker_id, reason=reason)
    return Quarantined(worker_id, reason)


def suspects(connection: Connection) -> list[str]:
    """Return the ids of active workers that several jobs exclude."""
    query = (
        select(workers.c.id)
        .join(job_exclusions, job_exclusions.c.worker_id == workers.c.id)
        .where(workers.c.state.in_(PRESENT_WORKER_STATES), workers.c.held.is_(None))
        .group_by(workers.c.id)
        .having(func.count() >= QUARANTINE_AFTER)
    )
    return list(connection.scalars(query.order_by(workers.c.id)))
