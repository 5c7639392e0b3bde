"""Checks that the counts of jobs match their rows. A difference is a bug, of this release or an older one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, case, func, literal, select, union_all

from renderctl.core.states import OPEN_ATTEMPT, OPEN_JOB, AttemptState, TaskState
from renderctl.repository.counts import CORRECTIONS
from renderctl.repository.database import Database, Part, read, unit_of, write
from renderctl.repository.database.count_changes import COUNTED
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import attempts, jobs, outputs, tasks

#: Jobs of one sample, and rows that it reads on average: after a huge job some samples are skipped.
_JOBS, _ROWS = 4, 5_000
#: Tasks that one statement reads, of a job that has more: so none takes long.
_PIECE = 50_000


@dataclass(frozen=True)
class WrongCount:
    """A job whose counts do not match its rows."""

    job_id: str
    missing: Mapping[str, int]  #: by count, where it is wrong; below 0: the count is too high

    def __str__(self) -> str:
        return f"job {self.job_id}: " + ", ".join(f"{name} {count:+d}" for name, count in self.missing.items())


class CountChecks(Part):
    """Compares counts with rows, and corrects them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._last_open = self._last_of_all = ""  # the jobs that were compared last
        self._skipped = 0  # samples that are left out for the size of the one before

    @read
    def find_wrong(
        self, connection: Connection, job_ids: Sequence[str] | None = None, *, at_once: int = _PIECE
    ) -> list[WrongCount]:
        """Return the jobs whose counts are wrong, among these or all; all are compared at one moment.

        With `job_ids`, a statement reads at most `at_once` tasks of a job. Without, it reads all, which takes seconds
        per million.
        """
        if job_ids is None:
            return _to_wrong_counts(connection.execute(_differences()))
        _take_snapshot(connection)
        return _compare(connection, job_ids, at_once)

    @write
    def correct(self, connection: Connection, job_ids: Sequence[str]) -> list[WrongCount]:
        """Correct the counts of the jobs while others change them; return what was wrong."""
        _take_snapshot(connection)
        for job_id in sorted(job_ids):
            _lock_corrections(connection, job_id)
        changes = unit_of(connection).counts
        wrong = _compare(connection, job_ids, _PIECE)
        for job in wrong:  # changes by others at this moment change rows and counts alike
            changes.add(job.job_id, CORRECTIONS, job.missing)
        return wrong

    def check_sample(self) -> list[WrongCount]:
        """Compare the counts of the next few jobs and correct them; return what was wrong."""
        if self._skipped > 0:
            self._skipped -= 1
            return []
        open_jobs = self._database.read(lambda connection: _next_jobs(connection, self._last_open, open_only=True))
        any_jobs = self._database.read(lambda connection: _next_jobs(connection, self._last_of_all, open_only=False))
        self._last_open, self._last_of_all = max(open_jobs, default=""), max(any_jobs, default="")
        sizes = any_jobs | open_jobs
        self._skipped = sum(sizes.values()) // _ROWS
        wrong = self.find_wrong(list(sizes)) if sizes else []
        return self.correct([job.job_id for job in wrong]) if wrong else []


def _next_jobs(connection: Connection, after: str, *, open_only: bool) -> dict[str, int]:
    """Return the next jobs after this one and their numbers of tasks, few enough for one sample; empty: start again."""
    query = select(jobs.c.id, jobs.c.task_count).where(jobs.c.id > after, jobs.c.removed_at.is_(None))
    query = query.order_by(jobs.c.id).limit(_JOBS)
    # State by state: an index has the jobs of one in this order, however many have ended.
    queries = [query.where(jobs.c.state == state) for state in sorted(OPEN_JOB)] if open_only else [query]
    rows = sorted(row for some in queries for row in connection.execute(some))
    sample, size = dict[str, int](), 0
    for row in rows[:_JOBS]:
        size += row.task_count
        if sample and size > _ROWS:
            break
        sample[row.id] = row.task_count
    return sample


def _lock_corrections(connection: Connection, job_id: str) -> None:
    """Lock the corrections of a job. Whoever only counts does not wait."""
    if connection.dialect.name == "mysql":
        own_row = (job_counts.c.job_id == job_id) & (job_counts.c.shard == CORRECTIONS)
        connection.execute(_insert_corrections(), {"job_id": job_id, "shard": CORRECTIONS})
        connection.execute(select(job_counts.c.shard).where(own_row).with_for_update())


@cache
def _insert_corrections() -> Any:
    return job_counts.insert().prefix_with("IGNORE", dialect="mysql")


def _take_snapshot(connection: Connection) -> None:
    """Have all reads of the transaction see one moment: that of its first read after it has locked what it locks."""
    if connection.dialect.name == "mysql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _compare(connection: Connection, job_ids: Sequence[str], at_once: int) -> list[WrongCount]:
    """Compare in a snapshot: small jobs together, large ones in pieces."""
    query = select(jobs.c.id, jobs.c.task_count).where(jobs.c.id.in_(job_ids)).order_by(jobs.c.id)
    sizes = {row.id: row.task_count for row in connection.execute(query)}
    small = [job_id for job_id, size in sizes.items() if size <= at_once]
    wrong = _to_wrong_counts(connection.execute(_differences(small))) if small else []
    for job_id, size in sizes.items():
        if size > at_once:
            missing = Counter[str]()
            for first in range(1, size + 1, at_once):
                piece = range(first, first + at_once)
                for part in _to_wrong_counts(connection.execute(_differences([job_id], piece))):
                    missing.update(part.missing)
            if any(missing.values()):
                wrong.append(WrongCount(job_id, {name: count for name, count in missing.items() if count}))
    return wrong


def _to_wrong_counts(rows: Iterable[Any]) -> list[WrongCount]:
    return [
        WrongCount(row.job_id, {name: count for name in COUNTED if (count := int(getattr(row, name)))}) for row in rows
    ]


def _differences(job_ids: Sequence[str] | None = None, piece: range | None = None) -> Select[Any]:
    """Build the query of rows minus counts for each job, where they differ.

    Of some jobs, or all; of all tasks, or those with numbers in the piece: the counts are subtracted with the first
    piece.
    """
    by_task = {state.value: _count_of(tasks.c.state, state) for state in TaskState}
    ended = [state for state in AttemptState if state not in OPEN_ATTEMPT]
    by_attempt = {f"attempts_{state}": _count_of(attempts.c.state, state) for state in ended}
    by_output = {"outputs": func.count(), "output_bytes": func.sum(outputs.c.size)}
    by_count = {name: -func.sum(job_counts.c[name]) for name in COUNTED}
    counted: list[tuple[Table, Mapping[str, ColumnElement[Any]]]]
    counted = [(tasks, by_task), (attempts, by_attempt), (outputs, by_output), (job_counts, by_count)]
    parts = []
    for table, columns in counted:
        part = select(table.c.job_id, *(columns.get(name, literal(0)).label(name) for name in COUNTED))
        if job_ids is not None:
            part = part.where(table.c.job_id.in_(job_ids))
        if piece is not None and table is not job_counts:
            part = part.where(table.c.number >= piece.start, table.c.number < piece.stop)
        if piece is None or piece.start == 1 or table is not job_counts:
            parts.append(part.group_by(table.c.job_id))
    rows = union_all(*parts).subquery()
    sums = {name: func.sum(rows.c[name]) for name in COUNTED}
    is_kept = select(jobs.c.id).where(jobs.c.id == rows.c.job_id, jobs.c.removed_at.is_(None)).exists()
    wrong = sum((func.abs(total) for total in sums.values()), start=literal(0))
    query = select(rows.c.job_id, *(total.label(name) for name, total in sums.items()))
    return query.where(is_kept).group_by(rows.c.job_id).having(wrong != 0).order_by(rows.c.job_id)


def _count_of(column: Column[Any], state: str) -> ColumnElement[int]:
    return func.sum(case((column == state, 1), else_=0))
