"""Summaries of jobs: what a job document shows, read at one moment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, or_, select, text

from renderctl.core.errors import NotFound
from renderctl.core.jobs import Job, JobSummary
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.states import AttemptState, JobState
from renderctl.repository.counts import read_counts
from renderctl.repository.database import Part, db_now, read
from renderctl.repository.database.batches import batches
from renderctl.repository.schema.jobs import attempts, jobs, outputs
from renderctl.repository.schema.mappers import to_job, visible

#: Frames whose average predicts what the next ones will take.
_LATEST = 50
#: The average of one job, and the jobs of one statement: a database takes only so many parts of a union.
_PACE, _PACES = (
    "SELECT :job_{0} AS job_id, AVG(seconds) AS seconds FROM (SELECT seconds FROM attempt"
    " WHERE job_id = :job_{0} AND state = :state ORDER BY number DESC LIMIT :latest) AS latest_{0}",
    100,
)


_IDS: BindParameter[Any] = bindparam("jobs", expanding=True)
# What a watch asks twice a second is built once.
_JOBS = select(jobs).where(jobs.c.id.in_(_IDS), jobs.c.removed_at.is_(None))
_RUNNING = select(attempts.c.job_id, attempts.c.id, attempts.c.progress).where(
    attempts.c.job_id.in_(_IDS), attempts.c.state == AttemptState.RUNNING
)
_LAST_IMAGE = select(outputs.c.image).where(outputs.c.job_id == jobs.c.id).order_by(outputs.c.number.desc()).limit(1)
_IMAGES = select(jobs.c.id, _LAST_IMAGE.scalar_subquery()).where(jobs.c.id.in_(_IDS))


class Summaries(Part):
    """Summaries of jobs."""

    @read
    def get(self, connection: Connection, job_id: str) -> JobSummary:
        """Return the summary of a job. Raises NotFound."""
        now = db_now(connection)
        row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.removed_at.is_(None))).first()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}.")
        return _summaries(connection, [to_job(row)], now)[0]

    def by_ids(self, ids: Sequence[str]) -> list[JobSummary]:
        """Return the summaries of those of the jobs that exist."""

        def reading(connection: Connection) -> list[JobSummary]:
            now = db_now(connection)
            rows = connection.execute(_JOBS, {"jobs": ids})
            return _summaries(connection, [to_job(row) for row in rows], now)

        return self._database.read(reading) if ids else []

    @read
    def newest(
        self,
        connection: Connection,
        states: Sequence[JobState] = (),
        *,
        owner: str | None = None,
        project: str | None = None,
        before: str | None = None,
        search: str | None = None,
        model_id: str | None = None,
        limit: int = 50,
        visibility: Visibility = ALL,
    ) -> list[JobSummary]:
        """Return summaries, the newest job first; with `before`: of jobs older than that one."""
        there = [jobs.c.removed_at.is_(None), *visible(jobs, visibility)]
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
            query = query.where(_matches(search))
        now = db_now(connection)
        return _summaries(connection, [to_job(row) for row in connection.execute(query)], now)


def _matches(search: str) -> ColumnElement[bool]:
    """Whether the job's or its model's name contains the text, or its id begins with it."""
    named = (column.icontains(search, autoescape=True) for column in (jobs.c.name, jobs.c.model))
    return or_(*named, jobs.c.id.startswith(search, autoescape=True))


def _summaries(connection: Connection, jobs_found: Sequence[Job], now: datetime) -> list[JobSummary]:
    ids = [job.id for job in jobs_found]
    counted = read_counts(connection, ids)
    busy = [job_id for job_id in ids if counted[job_id].tasks.running]
    running = _running(connection, busy)
    paces = _frame_seconds(connection, busy)
    images = _images(connection, [job_id for job_id in ids if counted[job_id].outputs])
    return [
        JobSummary(
            job,
            counted[job.id].tasks,
            counted[job.id].outputs,
            running.get(job.id, {}),
            paces.get(job.id),
            now,
            images.get(job.id),
        )
        for job in jobs_found
    ]


def _images(connection: Connection, ids: Sequence[str]) -> dict[str, str | None]:
    """Return for each job the image that rendered its last output."""
    return {row[0]: row[1] for row in connection.execute(_IMAGES, {"jobs": ids})} if ids else {}


def _running(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    running: dict[str, dict[str, float]] = {}
    for job_id, attempt_id, progress in connection.execute(_RUNNING, {"jobs": ids}) if ids else ():
        running.setdefault(job_id, {})[attempt_id] = progress
    return running


def _frame_seconds(connection: Connection, ids: Sequence[str]) -> dict[str, float | None]:
    """Return for each job how long its last frames took on average."""
    seconds: dict[str, float | None] = {}
    for some in batches(ids, _PACES):
        pace = " UNION ALL ".join(_PACE.format(n) for n in range(len(some)))
        values = {f"job_{n}": job_id for n, job_id in enumerate(some)}
        rows = connection.execute(text(pace), values | {"state": AttemptState.SUCCEEDED.value, "latest": _LATEST})
        seconds |= {row.job_id: row.seconds for row in rows}
    return seconds
