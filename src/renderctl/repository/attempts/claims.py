"""Claims: how a slot gets tasks of a job."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Row, exists, or_, select

from renderctl.core.attempts import Claim, Claimant
from renderctl.core.jobs import Attempt, Job
from renderctl.core.states import OPEN_ATTEMPT, AttemptState, JobState, TaskState, WorkerState
from renderctl.repository.attempts import claim_query
from renderctl.repository.attempts.claim_query import SERVED, ClaimContext, DbTime
from renderctl.repository.database import db_now
from renderctl.repository.jobs import claim_times
from renderctl.repository.jobs.task_states import take_tasks
from renderctl.repository.schema.jobs import attempts, by_state, job_exclusions, jobs, tasks, worker_pools, workers
from renderctl.repository.schema.mappers import ANY_ATTEMPT, to_attempt, to_capabilities, to_job

#: Seconds for which a job counts as just served.
_SERVED_LATELY_S = 1.0
#: Seconds after which a ticket returns that the worker cannot serve, at first and at most.
_REFUSED_FIRST_S, _REFUSED_LAST_S = 1.0, 60.0
_CLAIMED = AttemptState.CLAIMED


@dataclass(frozen=True)
class _Turn:
    """A job as the claim finds it."""

    row: Row[Any]
    locked: bool  #: whether the claim has locked its row, and so notes that the job is served

    @property
    def job(self) -> Job:
        return to_job(self.row)


def claim(connection: Connection, context: ClaimContext, ids: list[str], serial: int | None) -> Claim:
    """Do the transaction of `Attempts.claim`; the attempts get these ids."""
    turn = _ticket_turn(connection, context, serial) if serial is not None else _own_turn(connection, context)
    return _claim(connection, context, turn, ids, by_ticket=serial is not None) if turn else Claim()


def _claim(connection: Connection, context: ClaimContext, turn: _Turn, ids: list[str], *, by_ticket: bool) -> Claim:
    job = turn.job
    if not _may_work(connection, turn.row, job, context):
        return _refuse(connection, turn, context.moment, by_ticket=by_ticket)
    free_slots = _free_slots(connection, job, context.claimant)
    if free_slots is not None and free_slots <= 0:
        claim_times.defer(connection, job.id, context.moment.now + claim_times.FULL)
        return Claim()
    claimed = _take(connection, job, context, ids[:1] if job.in_order else ids)
    following = job.serial + 1 if by_ticket else job.serial
    if by_ticket or (claimed and turn.locked):
        serve = claim_query.BEGIN if claimed and job.state is JobState.QUEUED else claim_query.SERVE
        connection.execute(serve, {"job": job.id, "following": following, "now": context.moment.now})
    due = claim_times.due_at(connection, job.id, context.moment.now)
    _note_due(connection, turn, due, context.moment.now, full=bool(claimed) and free_slots == 1)
    delay_s = _delay_until(due, context.moment.now, claimed=bool(claimed))
    if claimed and not turn.locked:  # only the claim that serves the job returns its ticket
        delay_s = None
    return Claim(job, claimed, following if delay_s is not None else None, delay_s or 0.0)


def _may_work(connection: Connection, row: Row[Any], job: Job, context: ClaimContext) -> bool:
    """Whether the worker may have tasks of the job: the job is claimable, suits, and does not exclude the worker."""
    if not row.allowed or not context.claimant.suits(job.requirements, job.bound_to):
        return False
    return not (row.excluded and _others(connection, job, context, excluded=False))


def _others(connection: Connection, job: Job, context: ClaimContext, *, excluded: bool = True) -> list[str]:
    """Return the other workers that could render the job now; with `excluded` those that it excludes, too."""
    query = (
        select(workers.c.id, workers.c.capabilities)
        .join(worker_pools, worker_pools.c.worker_id == workers.c.id)
        .where(worker_pools.c.pool == job.pool, workers.c.id != context.claimant.worker_id)
        .where(workers.c.state == WorkerState.ACTIVE, workers.c.seen_at >= context.moment.silent)
    )
    if not excluded:
        query = query.where(
            ~exists().where(job_exclusions.c.job_id == job.id, job_exclusions.c.worker_id == workers.c.id)
        )
    rows = connection.execute(query)
    return [row.id for row in rows if to_capabilities(row.capabilities).lacks(job.requirements) is None]


def _tried_before(connection: Connection, job: Job) -> bool:
    """Whether a queued task has failed somewhere."""
    tried = (tasks.c.job_id == job.id) & (tasks.c.state == TaskState.QUEUED) & (tasks.c.attempts > 0)
    return connection.execute(by_state.where(tried).limit(1)).first() is not None


def _refuse(connection: Connection, turn: _Turn, moment: DbTime, *, by_ticket: bool) -> Claim:
    """The job has work, but none for this worker: return its ticket with a delay.

    The delay grows each time, and the serial changes, so that further copies of the ticket are stale: jobs that no
    worker here can render would keep the others from their turns.
    """
    job, refusals = turn.job, int(turn.row.refusals)
    due = claim_times.due_at(connection, job.id, moment.now)
    if due is None or due > moment.now:  # else it is due for others, or will be when a slot leaves it
        _note_due(connection, turn, due, moment.now, full=False)
    delay_s = _delay_until(due, moment.now, claimed=False)
    if delay_s is None:
        return Claim()
    if not by_ticket or not turn.row.allowed:
        return Claim(None, (), job.serial, delay_s)
    refused = jobs.update().where(jobs.c.id == job.id).values(refusals=refusals + 1, serial=job.serial + 1)
    connection.execute(refused)
    delay_s = max(delay_s, min(_REFUSED_FIRST_S * 2.0 ** min(refusals, 16), _REFUSED_LAST_S))
    return Claim(None, (), job.serial + 1, delay_s)


def _take(connection: Connection, job: Job, context: ClaimContext, ids: list[str]) -> tuple[Attempt, ...]:
    """Give the first tasks that the claimant may have to attempts with these ids."""
    parameters = context.parameters(limit=len(ids))
    taken = _new_attempts(connection, claim_query.CLAIMABLE_TASKS, parameters, ids)
    if not taken and job.requirements and _tried_before(connection, job):
        others = _others(connection, job, context)
        taken = _new_attempts(connection, claim_query.CLAIMABLE_TASKS_AMONG, {**parameters, "others": others}, ids)
    if taken:
        rows = _attempt_rows(taken, context.claimant, context.moment.now)
        connection.execute(attempts.insert(), list(rows))
        take_tasks(connection, job.id, taken)
    return taken


def claimed_before(connection: Connection, job_id: str, ids: list[str]) -> Claim | None:
    """Return what a claim has got whose answer was lost; None: nothing."""
    rows = connection.execute(ANY_ATTEMPT.where(attempts.c.id.in_(ids)).order_by(attempts.c.number)).all()
    if not rows:
        return None
    job = to_job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())
    now = db_now(connection)
    delay_s = _delay_until(claim_times.due_at(connection, job_id, now), now, claimed=True)
    serial = job.serial if delay_s is not None else None
    return Claim(job, tuple(to_attempt(row) for row in rows), serial, delay_s or 0.0)


def _free_slots(connection: Connection, job: Job, claimant: Claimant) -> int | None:
    """Return how many more slots may work on the job, not counting the claimant's; None: any number."""
    limit = 1 if job.in_order else job.max_slots
    if limit is None:
        return None
    held = select(attempts.c.worker_id, attempts.c.slot).where(
        attempts.c.job_id == job.id,
        attempts.c.state.in_(OPEN_ATTEMPT),
        or_(attempts.c.worker_id != claimant.worker_id, attempts.c.slot != claimant.slot),
    )
    return limit - len(connection.execute(held.distinct()).all())


def _note_due(connection: Connection, turn: _Turn, due: datetime | None, now: datetime, *, full: bool) -> None:
    """Have idle slots look at the job when that is of use: when something is due, or a slot has left it if it is
    `full`.

    Most of the time the row already says so, and nothing is written.
    """
    known = turn.row.claimable_at
    if full and due is not None:
        if known is None or known < now + claim_times.FULL / 2:
            claim_times.defer(connection, turn.row.id, max(due, now + claim_times.FULL))
    elif not claim_times.agrees(known, due, now):
        if turn.locked:
            claim_times.defer(connection, turn.row.id, due)
        else:
            claim_times.correct(connection, turn.row.id, now)


def _delay_until(due: datetime | None, now: datetime, *, claimed: bool) -> float | None:
    """Return the seconds until the job has more to give, 0 for at once; None: nothing is queued."""
    if due is None:
        return None
    if due <= now:
        return 0.0 if claimed else 1.0
    return max(0.05, (due - now).total_seconds())


def _ticket_turn(connection: Connection, context: ClaimContext, serial: int) -> _Turn | None:
    """Return the turn of a current ticket. Most copies are stale, which is seen without waiting for a lock."""
    parameters = context.parameters()
    row = connection.execute(claim_query.JOB, parameters).first()
    if row is None or row.serial != serial or row.state not in SERVED:
        return None
    locked_row = connection.execute(claim_query.JOB_LOCKED, parameters).first()
    if locked_row is None or locked_row.serial != serial or locked_row.state not in SERVED:
        return None
    return _Turn(locked_row, locked=True)


def _own_turn(connection: Connection, context: ClaimContext) -> _Turn | None:
    """Return a turn without a ticket: of all that come for the job at a time one serves it, and few wait."""
    row = connection.execute(claim_query.JOB, context.parameters()).first()
    if row is None or row.state not in SERVED:
        return None
    limited = (
        row.max_slots is not None or row.in_order
    )  # a limit holds only if claims count the slots one after the other
    if not limited and _just_served(row, context.moment):
        return _Turn(row, locked=False)
    begun = row.state == JobState.RUNNING and not limited  # else this claim has to begin it
    statement = claim_query.JOB_UNLESS_LOCKED if begun else claim_query.JOB_LOCKED
    locked_row = connection.execute(statement, context.parameters()).first()
    if locked_row is None:
        return _Turn(row, locked=False)
    return _Turn(locked_row, locked=True) if locked_row.state in SERVED else None


def _just_served(row: Row[Any], moment: DbTime) -> bool:
    """Whether the row says that the job was just served: else all its slots would queue up to write it again."""
    if row.state != JobState.RUNNING or row.served_at is None or row.nudges:
        return False
    return bool(0 <= (moment.now - row.served_at).total_seconds() < _SERVED_LATELY_S)


def _new_attempts(
    connection: Connection, query: Executable, parameters: dict[str, Any], ids: list[str]
) -> tuple[Attempt, ...]:
    """Return attempts at the tasks that the query finds."""
    rows = connection.execute(query, parameters)
    return tuple(
        Attempt(attempt_id, parameters["job"], row.number, row.frame, row.camera, parameters["worker"], _CLAIMED)
        for attempt_id, row in zip(ids, rows, strict=False)
    )


def _attempt_rows(taken: Iterable[Attempt], claimant: Claimant, now: datetime) -> Iterable[dict[str, Any]]:
    for attempt in taken:
        yield {
            "id": attempt.id,
            "job_id": attempt.job_id,
            "number": attempt.number,
            "worker_id": claimant.worker_id,
            "incarnation": claimant.incarnation,
            "slot": claimant.slot,
            "state": _CLAIMED,
            "claimed_at": now,
            "seen_at": now,
            "progress": 0.0,
        }
