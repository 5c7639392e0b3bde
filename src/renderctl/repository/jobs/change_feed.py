"""What has changed lately, asked by whoever tells it to others: a few questions for all of them together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, cast, func, literal, select

from renderctl.core.jobs import Attempt, Output
from renderctl.core.states import ENDED_JOB, OPEN_JOB, AttemptState, JobState
from renderctl.repository.database import Database
from renderctl.repository.schema.jobs import attempts, jobs, outputs
from renderctl.repository.schema.mapping import ANY_ATTEMPT, ATTEMPTS_IN_ORDER, to_attempt, to_output

#: An ended job is looked at for so long after its end: the last of its frames may be stopped after it.
_LATELY = timedelta(seconds=30)
#: Attempts that have ended, and may have printed something.
_RENDERED = (AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELED, AttemptState.LOST)
#: Rows of one look.
_MOST = 2000
#: What a change of a job changes in its row, as one text: rows are read twice a second, and texts are read fastest.
_CHANGING = (
    jobs.c.state,
    jobs.c.serial,
    jobs.c.priority,
    jobs.c.served_at,
    jobs.c.started_at,
    jobs.c.finished_at,
    jobs.c.nudges,
    jobs.c.error,
)


def _joined(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """Texts with bars between them."""
    texts = [func.coalesce(cast(column, String(255)), "") for column in columns]
    return reduce(lambda joined, text: joined.concat("|").concat(text), texts[1:], literal("").concat(texts[0]))


_SIGNS = select(jobs.c.id, jobs.c.owner, jobs.c.project, jobs.c.state, _joined(*_CHANGING).label("row"))
_SIGNS = _SIGNS.where(jobs.c.removed_at.is_(None)).order_by(jobs.c.id.desc()).limit(_MOST)
_SIGNS_BY_STATE = _SIGNS.with_hint(jobs, "FORCE INDEX (ix_job_ended)", "mysql")


@dataclass(frozen=True)
class JobVersion:
    """What tells that a job has changed, without its tasks being counted."""

    id: str
    owner: str
    project: str
    running: bool
    row: str


class Watching(Database):
    """Questions that are asked again and again."""

    def signs(self, only: Collection[str] | None = None) -> list[JobVersion]:
        """Of the open jobs and those that ended a moment ago, the newest; or of those jobs alone."""

        def reading(connection: Connection) -> list[JobVersion]:
            lately = self.now(connection) - _LATELY
            queries = [_SIGNS.where(jobs.c.id.in_(sorted(only or ())))]
            if only is None:
                opened = _SIGNS_BY_STATE.where(jobs.c.state.in_(OPEN_JOB))
                queries = [opened, _SIGNS_BY_STATE.where(jobs.c.state.in_(ENDED_JOB), jobs.c.finished_at >= lately)]
            rows = [row for query in queries for row in connection.execute(query)]
            signs = {
                row.id: JobVersion(row.id, row.owner, row.project, row.state == JobState.RUNNING, row.row)
                for row in rows
            }
            return sorted(signs.values(), key=lambda sign: sign.id, reverse=True)[:_MOST]

        return self.read(reading)

    def newest_output(self) -> int:
        """The number of the output that was published last."""
        query = select(outputs.c.id).order_by(outputs.c.id.desc()).limit(1)
        return self.read(lambda connection: connection.scalar(query)) or 0

    def output_numbers_since(self, after: int) -> list[int]:
        """The numbers of the outputs of all jobs that were published after that one, in their order."""
        query = select(outputs.c.id).where(outputs.c.id > after).order_by(outputs.c.id).limit(_MOST)
        return self.read(lambda connection: list(connection.scalars(query)))

    def these_outputs(self, numbers: Sequence[int]) -> list[tuple[str, Output]]:
        """The outputs of those numbers, in their order, and the jobs that they are of."""
        if not numbers:
            return []
        query = select(outputs).where(outputs.c.id.in_(numbers)).order_by(outputs.c.id)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [(row.job_id, to_output(row)) for row in rows]

    def running_progress(self, only: Collection[str] | None = None) -> dict[str, float]:
        """How far each frame is that is being rendered, anywhere or of those jobs, by the ids of the attempts."""
        query = select(attempts.c.id, attempts.c.progress).where(attempts.c.state == AttemptState.RUNNING).limit(_MOST)
        if only is not None:
            query = query.where(attempts.c.job_id.in_(sorted(only)))
        return self.read(lambda connection: {row.id: row.progress for row in connection.execute(query)})

    def newest_attempt(self, job_id: str, states: Sequence[AttemptState] = ()) -> Attempt | None:
        """The one that was claimed last, of those in one of the states (none named: in any)."""
        query = ATTEMPTS_IN_ORDER
        if states:
            query = ANY_ATTEMPT.with_hint(attempts, "FORCE INDEX (ix_attempt_job)", "mysql")
            query = query.where(attempts.c.state.in_(states))
        query = query.where(attempts.c.job_id == job_id).order_by(None).order_by(attempts.c.id.desc()).limit(1)
        row = self.read(lambda connection: connection.execute(query).first())
        return to_attempt(row) if row else None

    def newest_ended_attempts(self, job_id: str, limit: int) -> list[str]:
        """The ids of those attempts at a job's tasks that have ended and were claimed last, the newest first."""
        query = select(attempts.c.id).with_hint(attempts, "FORCE INDEX (ix_attempt_order)", "mysql")
        query = query.where(attempts.c.job_id == job_id, attempts.c.state.in_(_RENDERED))
        newest = query.order_by(attempts.c.id.desc()).limit(limit)
        return self.read(lambda connection: list(connection.scalars(newest)))

    def these_attempts(self, ids: Sequence[str]) -> list[Attempt]:
        """What became of them."""
        if not ids:
            return []
        query = ANY_ATTEMPT.where(attempts.c.id.in_(ids))
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])
