"""Jobs as they stand: what a job document says, read at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from renderctl.errors import NotFound
from renderctl.jobs import Attempt, Job, TaskCounts
from renderctl.permissions import EVERYTHING, Sight
from renderctl.repository.job_counts import read_counts
from renderctl.repository.rows import ANY_ATTEMPT, to_attempt, to_job
from renderctl.repository.seeing import visible
from renderctl.repository.submitting import Submitting, find_row
from renderctl.repository.tables import attempts, jobs, outputs
from renderctl.states import AttemptState, JobState

#: Frames whose cost says what the next ones will take.
_LATEST = 50


@dataclass(frozen=True)
class Summary:
    """A job, and what has become of it so far."""

    job: Job
    counts: TaskCounts
    outputs: int
    running: tuple[Attempt, ...]
    frame_seconds: float | None  #: what the last frames took on average; None: none is finished, or none is running
    at: datetime  #: by the database's clock: all that was committed before it is in here
    image: str | None = None  #: digest of the container image that rendered the last of its frames


class Summarizing(Submitting):
    """Questions whose answers people read."""

    def time(self) -> datetime:
        """What o'clock it is in the database."""
        return self.read(self.now)

    def find_job_at(self, ref: str, *, sight: Sight = EVERYTHING) -> tuple[Job, datetime]:
        """A job as `find_job` finds it, and when."""

        def reading(connection: Connection) -> tuple[Job, datetime]:
            now = self.now(connection)
            return to_job(find_row(connection, jobs, "job", ref, sight)), now

        return self.read(reading)

    def summary(self, job_id: str) -> Summary:
        """How a job stands. Raises NotFound."""

        def reading(connection: Connection) -> Summary:
            now = self.now(connection)
            row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.removed_at.is_(None))).first()
            if row is None:
                raise NotFound(f"There is no job {job_id!r}.")
            return _summaries(connection, [to_job(row)], now)[0]

        return self.read(reading)

    def summaries(
        self,
        states: Sequence[JobState] = (),
        *,
        owner: str | None = None,
        project: str | None = None,
        before: str | None = None,
        search: str | None = None,
        model_id: str | None = None,
        limit: int = 50,
        sight: Sight = EVERYTHING,
    ) -> list[Summary]:
        """How the jobs stand, the newest first; those that are older than job `before`."""
        there = [jobs.c.removed_at.is_(None), *visible(jobs, sight)]
        if before is not None:
            there.append(jobs.c.id < before)
        query = select(jobs).where(*there).order_by(jobs.c.id.desc()).limit(limit)
        if states:
            query = query.where(jobs.c.state.in_(states))
        if owner:
            query = query.where(jobs.c.owner == owner)
        if project:
            query = query.where(jobs.c.project == project)
        if model_id is not None:
            query = query.where(jobs.c.model_id == model_id)
        if search:
            query = query.where(_like(search))

        def reading(connection: Connection) -> list[Summary]:
            now = self.now(connection)
            return _summaries(connection, [to_job(row) for row in connection.execute(query)], now)

        return self.read(reading)


def _like(search: str) -> ColumnElement[bool]:
    """A job whose name or whose model's name has it somewhere, or whose id begins with it."""
    named = (column.icontains(search, autoescape=True) for column in (jobs.c.name, jobs.c.model))
    return or_(*named, jobs.c.id.startswith(search, autoescape=True))


def _summaries(connection: Connection, found: Sequence[Job], now: datetime) -> list[Summary]:
    ids = [job.id for job in found]
    counted = read_counts(connection, ids)
    busy = [job_id for job_id in ids if counted[job_id].tasks.running]
    running = _running(connection, busy)
    paces = {job_id: _frame_seconds(connection, job_id) for job_id in busy}
    return [
        Summary(
            job,
            counted[job.id].tasks,
            counted[job.id].outputs,
            tuple(running.get(job.id, ())),
            paces.get(job.id),
            now,
            _image(connection, job.id) if counted[job.id].outputs else None,
        )
        for job in found
    ]


def _image(connection: Connection, job_id: str) -> str | None:
    last = select(outputs.c.image).where(outputs.c.job_id == job_id).order_by(outputs.c.number.desc()).limit(1)
    image: str | None = connection.scalar(last)
    return image


def _running(connection: Connection, ids: Sequence[str]) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {}
    if ids:
        query = ANY_ATTEMPT.where(attempts.c.job_id.in_(ids), attempts.c.state == AttemptState.RUNNING)
        for row in connection.execute(query):
            found.setdefault(row.job_id, []).append(to_attempt(row))
    return found


def _frame_seconds(connection: Connection, job_id: str) -> float | None:
    ended: Any = (
        select(attempts.c.seconds)
        .where(attempts.c.job_id == job_id, attempts.c.state == AttemptState.SUCCEEDED)
        .order_by(attempts.c.number.desc())
        .limit(_LATEST)
        .subquery()
    )
    return connection.scalar(select(func.avg(ended.c.seconds)))
