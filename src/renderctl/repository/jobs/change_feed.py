"""The change feed: a few queries that show what has changed in all jobs, made again and again."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import reduce
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    String,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
)

from renderctl.core.change_feed import WatchSnapshot
from renderctl.core.jobs import Attempt, Output
from renderctl.core.permissions import Subject
from renderctl.core.states import ENDED_JOB, OPEN_JOB, AttemptState
from renderctl.repository.database import Part, db_now, read
from renderctl.repository.schema.jobs import attempts, jobs, outputs
from renderctl.repository.schema.mappers import ANY_ATTEMPT, ATTEMPTS_IN_ORDER, to_attempt, to_output

#: An ended job is in snapshots for so long: the last of its frames may stop after its end.
_LATELY = timedelta(seconds=30)
#: Attempts that have ended, and may have printed something.
_RENDERED = (AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELED, AttemptState.LOST)
#: Rows of one query.
_MOST = 2000
#: The columns that a change of a job changes, after the id; an error is set with the end.
_CHANGING = (
    jobs.c.state,
    jobs.c.serial,
    jobs.c.priority,
    jobs.c.served_at,
    jobs.c.started_at,
    jobs.c.finished_at,
    jobs.c.nudges,
)


def _text(column: ColumnElement[Any]) -> ColumnElement[str]:
    text = type_coerce(column, String)  # what is joined to a text becomes one
    return text if getattr(column, "nullable", True) is False else func.coalesce(text, "")


def _as_one_text(rows: Select[Any], *columns: ColumnElement[Any]) -> Select[Any]:
    """Return a query whose result is all rows as one text, with bars between columns and commas between rows.

    It runs twice a second, and receiving thousands of rows takes longer than finding them. No column contains a bar or
    a comma.
    """
    row = reduce(lambda joined, column: joined.concat("|").concat(column), map(_text, columns))
    of_rows = rows.with_only_columns(row.label("row")).subquery()
    return select(func.group_concat(of_rows.c.row, type_=Text))


def _read_rows(connection: Connection, query: Select[Any], **parameters: Any) -> list[str]:
    """Return the texts of the rows."""
    text: str | None = connection.scalar(query, parameters)
    return text.split(",") if text else []


_PRESENT = select(jobs).where(jobs.c.removed_at.is_(None)).order_by(jobs.c.id.desc()).limit(_MOST)
_LIVELY = or_(
    jobs.c.state.in_(sorted(OPEN_JOB)),
    and_(jobs.c.state.in_(sorted(ENDED_JOB)), jobs.c.finished_at >= bindparam("lately")),
)
_ONLY: BindParameter[Any] = bindparam("only", expanding=True)
_SIGNS = _PRESENT.where(_LIVELY).with_hint(jobs, "FORCE INDEX (ix_job_ended)", "mysql")
_SIGNS = _as_one_text(_SIGNS, jobs.c.id, *_CHANGING)
_SIGNS_OF = _as_one_text(_PRESENT.where(jobs.c.id.in_(_ONLY)), jobs.c.id, *_CHANGING)
_RUNNING = select(attempts).where(attempts.c.state == AttemptState.RUNNING).limit(_MOST)
_PROGRESS = _as_one_text(_RUNNING, attempts.c.id, attempts.c.progress)
_PROGRESS_OF = _as_one_text(_RUNNING.where(attempts.c.job_id.in_(_ONLY)), attempts.c.id, attempts.c.progress)
_NEW_OUTPUTS = select(outputs).where(outputs.c.id > bindparam("after")).order_by(outputs.c.id).limit(_MOST)
_NEW_OUTPUTS = _as_one_text(_NEW_OUTPUTS, outputs.c.id)
_SUBJECTS = select(jobs.c.id, jobs.c.owner, jobs.c.project).where(jobs.c.id.in_(_ONLY))


class ChangeFeed(Part):
    """Queries that a watcher makes again and again."""

    @read
    def snapshot(
        self, connection: Connection, outputs_after: int, only: Collection[str] | None = None
    ) -> WatchSnapshot:
        """Return a snapshot of the open jobs and those that ended a moment ago, or of the jobs in `only`.

        It has the outputs that were published after the number `outputs_after`.
        """
        if only is None:
            signs = _read_rows(connection, _SIGNS, lately=db_now(connection) - _LATELY)
            progress = _read_rows(connection, _PROGRESS)
        else:
            signs = _read_rows(connection, _SIGNS_OF, only=sorted(only))
            progress = _read_rows(connection, _PROGRESS_OF, only=sorted(only))
        numbers = _read_rows(connection, _NEW_OUTPUTS, after=outputs_after)
        return WatchSnapshot(
            {row.partition("|")[0]: row for row in signs},
            dict(row.split("|") for row in progress),
            sorted(map(int, numbers)),
        )

    def job_subjects(self, job_ids: Collection[str]) -> dict[str, Subject]:
        """Return the subjects of those of the jobs that exist, by job id, for permission checks."""
        if not job_ids:
            return {}
        rows = self._database.read(lambda connection: connection.execute(_SUBJECTS, {"only": sorted(job_ids)}).all())
        return {row.id: Subject("job", row.id, row.owner, frozenset([row.project])) for row in rows}

    def newest_output_number(self) -> int:
        """Return the number of the output that was published last; 0: there is none."""
        query = select(outputs.c.id).order_by(outputs.c.id.desc()).limit(1)
        return self._database.read(lambda connection: connection.scalar(query)) or 0

    def outputs(self, numbers: Sequence[int]) -> list[tuple[str, Output]]:
        """Return the outputs with these numbers, in their order, each with the id of its job."""
        if not numbers:
            return []
        query = select(outputs).where(outputs.c.id.in_(numbers)).order_by(outputs.c.id)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [(row.job_id, to_output(row)) for row in rows]

    def newest_attempt(self, job_id: str, states: Sequence[AttemptState] = ()) -> Attempt | None:
        """Return the attempt of the job that was claimed last, among those in one of the states (in any, if none is
        given).
        """
        query = ATTEMPTS_IN_ORDER
        if states:
            query = ANY_ATTEMPT.with_hint(attempts, "FORCE INDEX (ix_attempt_job)", "mysql")
            query = query.where(attempts.c.state.in_(states))
        query = query.where(attempts.c.job_id == job_id).order_by(None).order_by(attempts.c.id.desc()).limit(1)
        row = self._database.read(lambda connection: connection.execute(query).first())
        return to_attempt(row) if row else None

    @read
    def newest_ended_attempt_ids(self, connection: Connection, job_id: str, limit: int) -> list[str]:
        """Return the ids of the job's ended attempts that were claimed last, the newest first."""
        query = select(attempts.c.id).with_hint(attempts, "FORCE INDEX (ix_attempt_order)", "mysql")
        query = query.where(attempts.c.job_id == job_id, attempts.c.state.in_(_RENDERED))
        newest = query.order_by(attempts.c.id.desc()).limit(limit)
        return list(connection.scalars(newest))

    def attempts(self, ids: Sequence[str]) -> list[Attempt]:
        """Return the attempts with these ids."""
        if not ids:
            return []
        query = ANY_ATTEMPT.where(attempts.c.id.in_(ids))
        return self._database.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])
