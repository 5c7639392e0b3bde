"""Figures about the whole farm."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select

from renderctl.repository.database import Database
from renderctl.repository.hooktables import deliveries
from renderctl.repository.tables import attempts, jobs, tasks, workers
from renderctl.states import OPEN_JOB, AttemptState, JobState
from renderctl.webhooks import UNTOLD

#: Frames whose cost is the frame time.
_LATEST = 200


@dataclass(frozen=True)
class Measures:
    """How the farm is, at one moment."""

    tasks: dict[str, int]  #: of jobs that have not ended, by state
    jobs: dict[str, int]  #: by state
    workers: dict[str, int]  #: by state
    attempts: dict[str, int]  #: by state, of all jobs that are kept
    waiting_s: float  #: since the oldest job was submitted of which nothing was ever claimed; 0: there is none
    frame_s: float | None  #: what the latest frames took on average
    queue_depth: int  #: jobs that have work to give
    deliveries: dict[str, int]  #: of webhooks, by state: those that wait, and those that are undeliverable


class Measuring(Database):
    """Questions about everything at once: answered from indexes, and still not to be asked every second."""

    def measures(self) -> Measures:
        """How the farm is."""

        def reading(connection: Connection) -> Measures:
            now = self.now(connection)
            here = jobs.c.removed_at.is_(None)
            oldest = connection.scalar(select(func.min(jobs.c.created_at)).where(here, jobs.c.state == JobState.QUEUED))
            open_jobs = select(jobs.c.id).where(here, jobs.c.state.in_(OPEN_JOB))
            giving = select(jobs.c.id).where(here, jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING)))
            queued = select(func.count(tasks.c.job_id.distinct())).where(
                tasks.c.job_id.in_(giving), tasks.c.state == "queued"
            )
            latest = select(attempts.c.seconds).where(attempts.c.state == AttemptState.SUCCEEDED)
            cost = latest.order_by(attempts.c.id.desc()).limit(_LATEST).subquery()
            return Measures(
                tasks=_by_state(connection, tasks, tasks.c.job_id.in_(open_jobs)),
                jobs=_by_state(connection, jobs, here),
                workers=_by_state(connection, workers),
                attempts=_by_state(connection, attempts),
                waiting_s=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
                frame_s=connection.scalar(select(func.avg(cost.c.seconds))),
                queue_depth=connection.scalar(queued) or 0,
                deliveries=_by_state(connection, deliveries, deliveries.c.state.in_(UNTOLD)),
            )

        return self.read(reading)


def _by_state(connection: Connection, table: Table, *which: Any) -> dict[str, int]:
    state: Column[str] = table.c.state
    query = select(state, func.count()).where(*which).group_by(state)
    return {name: count for name, count in connection.execute(query)}
