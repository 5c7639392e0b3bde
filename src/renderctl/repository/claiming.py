"""Who may have which task: the one predicate, and the claim."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    true,
)

from renderctl.ids import new_token
from renderctl.jobs import Attempt, Job
from renderctl.repository.database import Database
from renderctl.repository.rows import ANY_ATTEMPT, to_attempt, to_capabilities, to_job
from renderctl.repository.tables import attempts, by_state, job_exclusions, jobs, tasks, worker_pools, workers
from renderctl.requirements import Requirements
from renderctl.states import OPEN_ATTEMPT, PRESENT_WORKER, AttemptState, JobState, TaskState, WorkerState
from renderctl.workers import NOTHING_OFFERED, Capabilities

_SERVED = (JobState.QUEUED, JobState.RUNNING)
#: Seconds for which a job that is claimed from again and again counts as just served.
_SERVED_LATELY_S = 1.0
#: How many jobs are looked at for each one that is wanted: some require what the worker has not.
_UNSUITABLE = 20

#: Gives tasks to the attempts at them, in one statement however many they are.
_TAKE = (
    tasks.update()
    .where(tasks.c.job_id == bindparam("job"), tasks.c.number.in_(bindparam("numbers", expanding=True)))
    .values(
        state=TaskState.RUNNING,
        not_before=None,
        attempt_id=select(attempts.c.id)
        .where(attempts.c.job_id == tasks.c.job_id, attempts.c.number == tasks.c.number)
        .where(attempts.c.id.in_(bindparam("ids", expanding=True)))
        .correlate(tasks)
        .scalar_subquery(),
    )
)


@dataclass(frozen=True)
class Claimant:
    """A slot that asks for work."""

    worker_id: str
    incarnation: str
    slot: int
    pools: tuple[str, ...]
    capabilities: Capabilities = NOTHING_OFFERED

    def suits(self, requirements: Requirements, bound_to: str | None) -> bool:
        """Whether the worker has what a job requires. Its own worker was chosen by a person, who is told the rest."""
        return bound_to == self.worker_id or self.capabilities.lacks(requirements) is None


@dataclass(frozen=True)
class Claim:
    """What a slot got of a job, and what becomes of the job's ticket."""

    job: Job | None = None  #: None: the ticket was stale, or the job has nothing to give
    attempts: tuple[Attempt, ...] = ()
    serial: int | None = None  #: a ticket with this serial goes back to the queue; None: none does
    delay_s: float = 0.0  #: after so many seconds


@dataclass(frozen=True)
class Moment:
    """When somebody asks, and since when a silent worker counts as lost."""

    now: datetime
    silent: datetime


# What every claim asks is built once: with SQLAlchemy the building of a statement takes longer than its execution.
# Who asks, and when, are the parameters that `_asking` gives.


def _claimable_job() -> ColumnElement[bool]:
    """Whether this worker may work for the job: both are active, its pool is served, it is nobody else's own."""
    beating = select(workers.c.id).where(workers.c.state.in_(PRESENT_WORKER), workers.c.seen_at >= bindparam("silent"))
    takes_work = exists().where(
        workers.c.id == bindparam("worker"),
        workers.c.incarnation == bindparam("incarnation"),
        workers.c.state == WorkerState.ACTIVE,
    )
    own = jobs.c.bound_to == bindparam("worker")
    return and_(
        takes_work,
        jobs.c.state.in_(_SERVED),
        jobs.c.pool.in_(bindparam("pools", expanding=True)),
        or_(jobs.c.bound_to.is_(None), own, jobs.c.bound_to.not_in(beating)),
    )


def _claimable_task(among: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether this worker may have the task now: not before its retry time, nor where it failed while others could.

    Those that could are `among` the workers of the pool.
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


def _wanted(which: ColumnElement[bool]) -> Select[Any]:
    """The first tasks of the job that may be had, passing over those that somebody else takes at this moment."""
    return (
        by_state.add_columns(tasks.c.frame, tasks.c.camera)
        .where(tasks.c.job_id == bindparam("job"), which)
        .order_by(tasks.c.number)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=tasks, skip_locked=True)
    )


_EXCLUDED = exists().where(job_exclusions.c.job_id == jobs.c.id, job_exclusions.c.worker_id == bindparam("worker"))
_JOB = select(jobs, _claimable_job().label("allowed"), _EXCLUDED.label("excluded")).where(jobs.c.id == bindparam("job"))
_JOB_LOCKED = _JOB.with_for_update(of=jobs)
_WANTED = _wanted(_claimable_task(true()))
_WANTED_AMONG = _wanted(_claimable_task(workers.c.id.in_(bindparam("others", expanding=True))))
_WAITING = (
    select(jobs.c.id, jobs.c.requirements, jobs.c.bound_to)
    .where(_claimable_job(), by_state.where(tasks.c.job_id == jobs.c.id, _claimable_task(true())).exists())
    .order_by(jobs.c.priority.desc(), case((jobs.c.served_at.is_(None), 0), else_=1), jobs.c.served_at, jobs.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_QUEUED = and_(tasks.c.job_id == bindparam("job"), tasks.c.state == TaskState.QUEUED)
_READY = by_state.where(_QUEUED, or_(tasks.c.not_before.is_(None), tasks.c.not_before <= bindparam("now"))).limit(1)
_EARLIEST = select(func.min(tasks.c.not_before)).where(_QUEUED)
_SERVE = (
    jobs.update()
    .where(jobs.c.id == bindparam("job"), jobs.c.state.in_(_SERVED))
    .values(serial=bindparam("following"), served_at=bindparam("now"), nudges=0)
)
_BEGIN = _SERVE.values(state=JobState.RUNNING, started_at=func.coalesce(jobs.c.started_at, bindparam("now")))


def _asking(job_id: str | None, claimant: Claimant, moment: Moment) -> dict[str, Any]:
    return {
        "job": job_id,
        "worker": claimant.worker_id,
        "incarnation": claimant.incarnation,
        "pools": list(claimant.pools),
        "now": moment.now,
        "silent": moment.silent,
    }


class Claiming(Database):
    """Turns and claims."""

    def claim(self, job_id: str, claimant: Claimant, *, limit: int = 1, serial: int | None = None) -> Claim:
        """Up to `limit` tasks of the job for this slot; with the `serial` of a ticket that must be the current one."""
        ids = [new_token() for _ in range(limit)]
        return self.write(
            lambda connection: self._claim(connection, job_id, claimant, ids, serial),
            known=lambda connection: self._claimed_before(connection, job_id, ids),
        )

    def waiting_jobs(self, claimant: Claimant, *, limit: int = 5) -> list[str]:
        """Jobs that this slot could work on now, the one that was served longest ago first within a priority."""

        def reading(connection: Connection) -> list[str]:
            asking = _asking(None, claimant, self.moment(connection))
            rows = connection.execute(_WAITING, asking | {"limit": limit * _UNSUITABLE}).all()
            suitable = (
                row.id for row in rows if claimant.suits(Requirements.from_document(row.requirements), row.bound_to)
            )
            return list(islice(suitable, limit))

        return self.read(reading)

    def moment(self, connection: Connection) -> Moment:
        now = self.now(connection)
        return Moment(now, now - timedelta(seconds=self.heartbeat_limit_s))

    def _claim(
        self, connection: Connection, job_id: str, claimant: Claimant, ids: list[str], serial: int | None
    ) -> Claim:
        moment = self.moment(connection)
        asking = _asking(job_id, claimant, moment)
        row = connection.execute(_JOB if serial is None else _JOB_LOCKED, asking).first()
        if row is None or row.state not in _SERVED or (serial is not None and row.serial != serial):
            return Claim()
        job = to_job(row)
        if not self._may_work(connection, row, job, claimant, moment):
            return self._turned_away(connection, job, moment)
        if self._slots_used_up(connection, job, claimant):
            return Claim()
        ids = ids[:1] if job.in_order else ids
        claimed = self._take(connection, job, claimant, ids, connection.execute(_WANTED, asking | {"limit": len(ids)}))
        if not claimed and job.requirements and self._tried_before(connection, job):
            among = {"limit": len(ids), "others": self._others(connection, job, claimant, moment)}
            claimed = self._take(connection, job, claimant, ids, connection.execute(_WANTED_AMONG, asking | among))
        following = job.serial if serial is None else job.serial + 1
        if serial is not None or (claimed and not _just_served(row, moment)):
            serve = _BEGIN if claimed and job.state is JobState.QUEUED else _SERVE
            connection.execute(serve, {"job": job_id, "following": following, "now": moment.now})
        delay_s = self._delay_until_work(connection, job_id, moment, claimed=bool(claimed))
        return Claim(job, claimed, following if delay_s is not None else None, delay_s or 0.0)

    def _may_work(self, connection: Connection, row: Row[Any], job: Job, claimant: Claimant, moment: Moment) -> bool:
        """Whether the worker may have tasks of the job: see _claimable_job, what it requires, and whom it excludes."""
        if not row.allowed or not claimant.suits(job.requirements, job.bound_to):
            return False
        return not (row.excluded and self._others(connection, job, claimant, moment, excluded=False))

    def _others(
        self, connection: Connection, job: Job, claimant: Claimant, moment: Moment, *, excluded: bool = True
    ) -> list[str]:
        """The other workers that could render the job now; with `excluded` those that it excludes, too."""
        query = (
            select(workers.c.id, workers.c.capabilities)
            .join(worker_pools, worker_pools.c.worker_id == workers.c.id)
            .where(worker_pools.c.pool == job.pool, workers.c.id != claimant.worker_id)
            .where(workers.c.state == WorkerState.ACTIVE, workers.c.seen_at >= moment.silent)
        )
        if not excluded:
            query = query.where(
                ~exists().where(job_exclusions.c.job_id == job.id, job_exclusions.c.worker_id == workers.c.id)
            )
        rows = connection.execute(query)
        return [row.id for row in rows if to_capabilities(row.capabilities).lacks(job.requirements) is None]

    def _tried_before(self, connection: Connection, job: Job) -> bool:
        """Whether a queued task has failed somewhere."""
        tried = (tasks.c.job_id == job.id) & (tasks.c.state == TaskState.QUEUED) & (tasks.c.attempts > 0)
        return connection.execute(by_state.where(tried).limit(1)).first() is not None

    def _turned_away(self, connection: Connection, job: Job, moment: Moment) -> Claim:
        """The job has work, but none for this worker: its ticket goes back with a delay."""
        delay_s = self._delay_until_work(connection, job.id, moment, claimed=False)
        return Claim(None, (), job.serial if delay_s is not None else None, delay_s or 0.0)

    def _slots_used_up(self, connection: Connection, job: Job, claimant: Claimant) -> bool:
        limit = 1 if job.in_order else job.max_slots
        if limit is None:
            return False
        held = select(attempts.c.worker_id, attempts.c.slot).where(
            attempts.c.job_id == job.id,
            attempts.c.state.in_(OPEN_ATTEMPT),
            or_(attempts.c.worker_id != claimant.worker_id, attempts.c.slot != claimant.slot),
        )
        return len(connection.execute(held.distinct()).all()) >= limit

    def _take(
        self, connection: Connection, job: Job, claimant: Claimant, ids: list[str], wanted: Iterable[Row[Any]]
    ) -> tuple[Attempt, ...]:
        """The wanted tasks become the claimant's, by attempts with these ids."""
        taken = tuple(
            Attempt(attempt_id, job.id, row.number, row.frame, row.camera, claimant.worker_id, AttemptState.CLAIMED)
            for attempt_id, row in zip(ids, wanted, strict=False)
        )
        if taken:
            connection.execute(attempts.insert(), list(_attempt_rows(taken, claimant, self.now(connection))))
            numbers = [each.number for each in taken]
            connection.execute(_TAKE, {"job": job.id, "numbers": numbers, "ids": [each.id for each in taken]})
        return taken

    def _claimed_before(self, connection: Connection, job_id: str, ids: list[str]) -> Claim | None:
        """What a claim of which the answer was lost has got."""
        rows = connection.execute(ANY_ATTEMPT.where(attempts.c.id.in_(ids)).order_by(attempts.c.number)).all()
        if not rows:
            return None
        job = to_job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())
        delay_s = self._delay_until_work(connection, job_id, self.moment(connection), claimed=True)
        serial = job.serial if delay_s is not None else None
        return Claim(job, tuple(to_attempt(row) for row in rows), serial, delay_s or 0.0)

    def _delay_until_work(self, connection: Connection, job_id: str, moment: Moment, *, claimed: bool) -> float | None:
        """Seconds until the job has more to give: 0 at once, None: it has nothing queued."""
        if connection.execute(_READY, {"job": job_id, "now": moment.now}).first():
            return 0.0 if claimed else 1.0
        earliest: datetime | None = connection.scalar(_EARLIEST, {"job": job_id})
        return max(0.05, (earliest - moment.now).total_seconds()) if earliest else None


def _just_served(row: Row[Any], moment: Moment) -> bool:
    """Whether the row says already that the job is served: all slots that work on it would queue up to say it again."""
    if row.state != JobState.RUNNING or row.served_at is None or row.nudges:
        return False
    return bool((moment.now - row.served_at).total_seconds() < _SERVED_LATELY_S)


def _attempt_rows(taken: Iterable[Attempt], claimant: Claimant, now: datetime) -> Iterable[dict[str, Any]]:
    for attempt in taken:
        yield {
            "id": attempt.id,
            "job_id": attempt.job_id,
            "number": attempt.number,
            "worker_id": claimant.worker_id,
            "incarnation": claimant.incarnation,
            "slot": claimant.slot,
            "state": AttemptState.CLAIMED,
            "claimed_at": now,
            "seen_at": now,
            "progress": 0.0,
        }
