"""Metrics of the whole farm."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Table, and_, case, func, or_, select

from renderctl.core.metrics import Cursor, Measures, Since
from renderctl.core.states import (
    CLAIMABLE_JOB,
    ENDED_JOB,
    OPEN_ATTEMPT,
    OPEN_JOB,
    PRESENT_WORKER_STATES,
    AttemptState,
    JobState,
    TaskState,
)
from renderctl.core.webhooks import UNDELIVERED_STATES
from renderctl.repository.counts import sum_counts
from renderctl.repository.database import Part, db_now, read
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import attempts, jobs, outputs, workers
from renderctl.repository.schema.webhooks import deliveries

#: Outputs and seconds before a cursor that are read again: the first to get a number or time may commit last.
_AGAIN, _AGAIN_S = 1000, 30
#: Outputs of one query; the rest comes with the next.
_MOST = 20_000


class Metrics(Part):
    """Queries about everything, answered from indexes; still too expensive to run every second."""

    @read
    def measure(self, connection: Connection) -> Measures:
        """Return the metrics of this moment."""
        now = db_now(connection)
        here = jobs.c.removed_at.is_(None)
        work = _open_work(connection)
        slots = select(func.sum(workers.c.slots)).where(workers.c.state.in_(PRESENT_WORKER_STATES))
        return Measures(
            tasks=work.tasks,
            jobs=_by_state(connection, jobs, here),
            workers=_by_state(connection, workers),
            attempts=_attempts(connection),
            waiting_s=max(0.0, (now - work.oldest).total_seconds()) if work.oldest else 0.0,
            queue_depth=work.giving,
            slots=int(connection.scalar(slots) or 0),
            deliveries=_by_state(connection, deliveries, deliveries.c.state.in_(UNDELIVERED_STATES)),
        )

    @read
    def since(self, connection: Connection, cursor: Cursor | None) -> Since:
        """Return what has come since a cursor, each frame and job once; with None nothing, and the cursor of this
        moment.
        """
        now = db_now(connection)
        counted = cursor or Cursor(connection.scalar(select(func.max(outputs.c.id))) or 0, now, frozenset())
        frames, frames_known, last = _frames(connection, counted)
        waits, waits_known = _waits(connection, counted, now)
        following = Cursor(last, now, frames_known | waits_known)
        return Since(frames, waits, following) if cursor else Since((), (), following)


def _frames(connection: Connection, mark: Cursor) -> tuple[tuple[float, ...], frozenset[str], int]:
    """Return the seconds of frames that are not known, the attempts to look at again, and the last output."""
    query = select(outputs.c.id.label("output"), attempts.c.id, attempts.c.seconds)
    query = query.join(attempts, attempts.c.id == outputs.c.attempt_id).where(outputs.c.id > mark.output - _AGAIN)
    rows = connection.execute(query.order_by(outputs.c.id).limit(_MOST)).all()
    last = max(mark.output, rows[-1].output) if rows else mark.output
    fresh = {row.id: row.seconds for row in rows if row.id not in mark.known and row.seconds is not None}
    return tuple(fresh.values()), frozenset(row.id for row in rows if row.output > last - _AGAIN), last


def _waits(connection: Connection, mark: Cursor, now: datetime) -> tuple[tuple[float, ...], frozenset[str]]:
    """Return the seconds that jobs have waited that are not known, and the jobs to look at again."""
    before, later = (at - timedelta(seconds=_AGAIN_S) for at in (mark.at, now))
    # What has begun since then is open, or has ended since then: one index says which those are.
    lively = or_(jobs.c.state.in_(OPEN_JOB), and_(jobs.c.state.in_(ENDED_JOB), jobs.c.finished_at >= before))
    query = select(jobs.c.id, jobs.c.created_at, jobs.c.started_at).where(lively, jobs.c.started_at >= before)
    query = query.with_hint(jobs, "FORCE INDEX (ix_job_ended)", "mysql")
    rows = connection.execute(query).all()
    fresh = [(row.started_at - row.created_at).total_seconds() for row in rows if row.id not in mark.known]
    return tuple(fresh), frozenset(row.id for row in rows if row.started_at >= later)


@dataclass(frozen=True)
class _OpenWork:
    """The work of the jobs that have not ended."""

    tasks: dict[str, int]  #: by state
    giving: int  #: jobs with claimable work
    oldest: datetime | None  #: when the oldest job was submitted of which nothing was ever claimed


def _open_work(connection: Connection) -> _OpenWork:
    """Sum up the counts of the open jobs."""
    states = [state.value for state in TaskState]
    per_job = (
        sum_counts(*states).add_columns(jobs.c.state, jobs.c.created_at).join(jobs, jobs.c.id == job_counts.c.job_id)
    )
    per_job = per_job.where(jobs.c.removed_at.is_(None), jobs.c.state.in_(OPEN_JOB))
    job = per_job.group_by(jobs.c.state, jobs.c.created_at).subquery()
    gives = job.c.state.in_(sorted(CLAIMABLE_JOB)) & (job.c.queued > 0)
    query = select(
        *(func.sum(job.c[state]).label(state) for state in states),
        func.count(case((gives, 1))).label("giving"),
        func.min(case((gives & (job.c.state == JobState.QUEUED), job.c.created_at))).label("oldest"),
    )
    row = connection.execute(query).one()
    tasks = {state: int(count) for state in states if (count := getattr(row, state))}
    return _OpenWork(tasks, row.giving, row.oldest)


def _attempts(connection: Connection) -> dict[str, int]:
    """Return the number of attempts by state: open ones from an index, ended ones from the counts."""
    ended = [state for state in AttemptState if state not in OPEN_ATTEMPT]
    row = connection.execute(select(*(func.sum(job_counts.c[f"attempts_{state}"]) for state in ended))).one()
    counts = {state.value: int(count) for state, count in zip(ended, row, strict=True) if count}
    return counts | _by_state(connection, attempts, attempts.c.state.in_(OPEN_ATTEMPT))


def _by_state(connection: Connection, table: Table, *which: Any) -> dict[str, int]:
    state: Column[str] = table.c.state
    query = select(state, func.count()).where(*which).group_by(state)
    return {name: count for name, count in connection.execute(query)}
