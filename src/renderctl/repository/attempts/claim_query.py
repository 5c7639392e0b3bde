"""What may be claimed, and by whom: one predicate, in statements that are built once.

Building a statement with SQLAlchemy takes longer than executing it. `ClaimContext` gives their parameters.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)

from renderctl.core.attempts import Claimant
from renderctl.core.states import CLAIMABLE_JOB, PRESENT_WORKER_STATES, AttemptState, JobState, TaskState, WorkerState
from renderctl.repository.database import db_now
from renderctl.repository.schema.jobs import attempts, by_state, job_exclusions, jobs, tasks, worker_pools, workers

#: The states of a job whose tasks may be claimed.
SERVED = tuple(sorted(CLAIMABLE_JOB))


@dataclass(frozen=True)
class DbTime:
    """The database's time, and the time before which a silent worker counts as lost."""

    now: datetime
    silent: datetime


def claim_time(connection: Connection, heartbeat_limit_s: float) -> DbTime:
    """Return the time of this transaction for claims."""
    now = db_now(connection)
    return DbTime(now, now - timedelta(seconds=heartbeat_limit_s))


@dataclass(frozen=True)
class ClaimContext:
    """Who claims, when, and from which job (None: from any)."""

    claimant: Claimant
    moment: DbTime
    job_id: str | None = None

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of the statements below."""
        return {
            "job": self.job_id,
            "worker": self.claimant.worker_id,
            "incarnation": self.claimant.incarnation,
            "pools": list(self.claimant.pools),
            "now": self.moment.now,
            "silent": self.moment.silent,
            **more,
        }


def _claimable_job() -> ColumnElement[bool]:
    """Whether the worker may work on the job: both are active, it serves the job's pool, no other worker has it
    reserved.
    """
    beating = select(workers.c.id).where(
        workers.c.state.in_(PRESENT_WORKER_STATES), workers.c.seen_at >= bindparam("silent")
    )
    takes_work = exists().where(
        workers.c.id == bindparam("worker"),
        workers.c.incarnation == bindparam("incarnation"),
        workers.c.state == WorkerState.ACTIVE,
    )
    own = jobs.c.bound_to == bindparam("worker")
    return and_(
        takes_work,
        jobs.c.state.in_(SERVED),
        jobs.c.pool.in_(bindparam("pools", expanding=True)),
        or_(jobs.c.bound_to.is_(None), own, jobs.c.bound_to.not_in(beating)),
    )


def _claimable_task(among: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the worker may have the task now: not before its retry time, nor where it failed if others could render
    it.

    The others are `among` the workers of the pool.
    """
    tried = attempts.alias("tried")
    failed = (tried.c.job_id == tasks.c.job_id) & (tried.c.number == tasks.c.number)
    failed &= tried.c.state == AttemptState.FAILED
    of_task = select(tried.c.id).with_hint(tried, "FORCE INDEX (ix_attempt_task)", "mysql").where(failed)
    failed_here = of_task.where(tried.c.worker_id == bindparam("worker")).correlate(tasks).exists()
    failed_there = of_task.where(tried.c.worker_id == workers.c.id).correlate(tasks, workers).exists()
    another = exists().where(
        workers.c.id != bindparam("worker"),
        workers.c.state == WorkerState.ACTIVE,
        workers.c.seen_at >= bindparam("silent"),
        workers.c.id == worker_pools.c.worker_id,
        worker_pools.c.pool
        == select(jobs.c.pool).where(jobs.c.id == tasks.c.job_id).correlate(tasks).scalar_subquery(),
        ~failed_there,
        among,
    )
    return and_(
        tasks.c.state == TaskState.QUEUED,
        or_(tasks.c.not_before.is_(None), tasks.c.not_before <= bindparam("now")),
        or_(tasks.c.attempts == 0, ~failed_here, ~another),
    )


def _claimable_tasks(which: ColumnElement[bool]) -> Select[Any]:
    """Return the query of the first claimable tasks of the job, skipping those that others lock."""
    return (
        by_state.add_columns(tasks.c.frame, tasks.c.camera)
        .where(tasks.c.job_id == bindparam("job"), which)
        .order_by(tasks.c.number)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=tasks, skip_locked=True)
    )


_EXCLUDED = exists().where(job_exclusions.c.job_id == jobs.c.id, job_exclusions.c.worker_id == bindparam("worker"))
JOB = select(jobs, _claimable_job().label("allowed"), _EXCLUDED.label("excluded")).where(jobs.c.id == bindparam("job"))
JOB_LOCKED = JOB.with_for_update(of=jobs)
JOB_UNLESS_LOCKED = JOB.with_for_update(of=jobs, skip_locked=True)
CLAIMABLE_TASKS = _claimable_tasks(_claimable_task(true()))
CLAIMABLE_TASKS_AMONG = _claimable_tasks(_claimable_task(workers.c.id.in_(bindparam("others", expanding=True))))


def _claimable_jobs() -> Select[Any]:
    """Return the query of jobs with something due, from an index alone."""
    return (
        select(jobs.c.id)
        .with_hint(jobs, "FORCE INDEX (ix_job_claimable)", "mysql")
        .with_hint(jobs, "INDEXED BY ix_job_claimable", "sqlite")
        .where(
            _claimable_job(),
            jobs.c.requirement_key.in_(bindparam("suitable", expanding=True)),
            jobs.c.claimable_at <= bindparam("now"),
        )
        .order_by(jobs.c.priority.desc(), case((jobs.c.served_at.is_(None), 0), else_=1), jobs.c.served_at, jobs.c.id)
        .limit(bindparam("limit", type_=Integer))
    )


CLAIMABLE_JOBS = _claimable_jobs()


_IN_POOLS = (jobs.c.state.in_(SERVED), jobs.c.pool.in_(bindparam("pools", expanding=True)))
#: A job for each requirement key; it reads all of the index.
REQUIREMENT_KEYS = (
    select(func.min(jobs.c.id).label("id"), jobs.c.requirement_key)
    .with_hint(jobs, "FORCE INDEX (ix_job_claimable)", "mysql")
    .where(*_IN_POOLS)
    .group_by(jobs.c.requirement_key)
)


@cache
def has_unknown_keys(count: int) -> Select[Any]:
    """Return the query whether a job requires anything else than `count` known keys (`key_0`, `key_1` … sorted).

    It looks once into each gap between them, however many jobs there are.
    """
    gaps = []
    for number in range(count + 1):
        gap = select(literal(1)).select_from(jobs).with_hint(jobs, "FORCE INDEX (ix_job_claimable)", "mysql")
        gap = gap.where(*_IN_POOLS)
        if number > 0:
            gap = gap.where(jobs.c.requirement_key > bindparam(f"key_{number - 1}"))
        if number < count:
            gap = gap.where(jobs.c.requirement_key < bindparam(f"key_{number}"))
        gaps.append(gap.exists())
    return select(or_(*gaps))


SERVE = (
    jobs.update()
    .where(jobs.c.id == bindparam("job"), jobs.c.state.in_(SERVED))
    .values(serial=bindparam("following"), served_at=bindparam("now"), nudges=0, refusals=0)
)
BEGIN = SERVE.values(state=JobState.RUNNING, started_at=func.coalesce(jobs.c.started_at, bindparam("now")))
