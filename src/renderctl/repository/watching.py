"""What has changed lately, asked by whoever tells it to others: a few questions for all of them together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from renderctl.jobs import Attempt, Output
from renderctl.repository.database import Database
from renderctl.repository.rows import ANY_ATTEMPT, to_attempt, to_output
from renderctl.repository.tables import attempts, jobs, outputs
from renderctl.states import OPEN_JOB, AttemptState

#: An ended job is looked at for so long after its end: the last of its frames may be stopped after it.
_LATELY = timedelta(seconds=30)
#: Rows of one look.
_MOST = 2000


@dataclass(frozen=True)
class Sign:
    """What tells that a job has changed, without its tasks being counted."""

    id: str
    owner: str
    project: str
    running: bool
    row: tuple[Any, ...]


class Watching(Database):
    """Questions that are asked again and again."""

    def signs(self, only: Collection[str] | None = None) -> list[Sign]:
        """Of the open jobs and those that ended a moment ago, the newest; or of those jobs alone."""

        def reading(connection: Connection) -> list[Sign]:
            lately = self.now(connection) - _LATELY
            query = select(jobs).where(jobs.c.removed_at.is_(None)).order_by(jobs.c.id.desc()).limit(_MOST)
            if only is None:
                query = query.where(or_(jobs.c.state.in_(OPEN_JOB), jobs.c.finished_at >= lately))
            else:
                query = query.where(jobs.c.id.in_(sorted(only)))
            columns = (jobs.c.id, jobs.c.owner, jobs.c.project, jobs.c.state, jobs.c.serial, jobs.c.priority)
            changing = (jobs.c.served_at, jobs.c.started_at, jobs.c.finished_at, jobs.c.nudges, jobs.c.error)
            rows = connection.execute(query.with_only_columns(*columns, *changing)).all()
            return [Sign(row.id, row.owner, row.project, row.state == "running", tuple(row[3:])) for row in rows]

        return self.read(reading)

    def newest_output(self) -> int:
        """The number of the output that was published last."""
        query = select(outputs.c.id).order_by(outputs.c.id.desc()).limit(1)
        return self.read(lambda connection: connection.scalar(query)) or 0

    def outputs_since(self, after: int) -> list[tuple[int, str, Output]]:
        """Outputs of all jobs in the order in which they were published: number, job and output."""
        query = select(outputs).where(outputs.c.id > after).order_by(outputs.c.id).limit(_MOST)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.job_id, to_output(row)) for row in rows]

    def all_running_attempts(self) -> list[Attempt]:
        """What is being rendered anywhere at this moment."""
        query = ANY_ATTEMPT.where(attempts.c.state == AttemptState.RUNNING).limit(_MOST)
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])

    def these_attempts(self, ids: Sequence[str]) -> list[Attempt]:
        """What became of them."""
        query = ANY_ATTEMPT.where(attempts.c.id.in_(ids))
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])
