"""The tables of a farm after years, filled in less than a minute: 1.7 million tasks, 22,000 jobs, 2,000 workers.

The database does the work: one INSERT … SELECT a table. MariaDB builds the indexes of a table that is empty all at
once, which takes a fraction of the time; so the tables have to be empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from renderctl.core.jobs import RenderOptions
from renderctl.core.states import ENDED_JOB, AttemptState, JobState, TaskState, WorkerState
from renderctl.repository.counts import SHARDS
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import (
    attempts,
    job_dependencies,
    jobs,
    models,
    outputs,
    tasks,
    worker_pools,
    workers,
)

MODEL_ID = "0model0000001"
#: Workers `w0`, `w1` …, of one slot each; the running attempts are spread over them.
WORKER_COUNT = 2_000
_OUTPUT_BYTES = 100_000
_SUCCEEDED, _RUNNING, _QUEUED = TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.QUEUED
_FAILED, _CANCELED = TaskState.FAILED, TaskState.CANCELED
_ATTEMPT_STATES = {
    _SUCCEEDED: AttemptState.SUCCEEDED,
    _FAILED: AttemptState.FAILED,
    _RUNNING: AttemptState.RUNNING,
}


@dataclass(frozen=True)
class JobKind:
    """Jobs that are alike."""

    prefix: str  #: of their ids
    count: int
    state: JobState
    shares: tuple[tuple[TaskState, int], ...]  #: how many tasks are in which state, in the order of their numbers
    after: "JobKind | None" = None  #: each waits for one of these

    @property
    def task_count(self) -> int:
        return sum(count for _, count in self.shares)

    def job_id(self, number: int) -> str:
        """Of the first of them (1), the second, and so on."""
        return f"{self.prefix}{number:011d}"

    def smaller(self, divisor: int) -> "JobKind":
        shares = tuple((state, max(1, count // divisor)) for state, count in self.shares)
        after = self.after.smaller(divisor) if self.after else None
        return replace(self, count=max(1, self.count // divisor), shares=shares, after=after)


SUCCEEDED = JobKind("0e", 18_000, JobState.SUCCEEDED, ((_SUCCEEDED, 20),))
FAILED = JobKind("0f", 1_500, JobState.FAILED, ((_FAILED, 1), (_CANCELED, 19)))
CANCELED = JobKind("0g", 1_500, JobState.CANCELED, ((_CANCELED, 20),))
RUNNING = JobKind("0r", 200, JobState.RUNNING, ((_SUCCEEDED, 100), (_RUNNING, 10), (_QUEUED, 390)))
QUEUED = JobKind("0q", 300, JobState.QUEUED, ((_QUEUED, 200),))
BLOCKED = JobKind("0b", 500, JobState.QUEUED, ((TaskState.BLOCKED, 200),), after=RUNNING)
HUGE = JobKind("0z", 1, JobState.RUNNING, ((_SUCCEEDED, 600_000), (_RUNNING, 200), (_QUEUED, 399_800)))
KINDS = (SUCCEEDED, FAILED, CANCELED, RUNNING, QUEUED, BLOCKED, HUGE)

_numbers = Table("big_number", MetaData(), Column("number", Integer, primary_key=True, autoincrement=False))
_number = _numbers.c.number


def fill(engine: Engine, *, now: datetime | None = None, divisor: int = 1) -> None:
    """Fill a database that is set up and empty; with a `divisor` as much less of everything.

    It takes longer than an answer may take: of a MySQL server the engine has to be a `patient` one.
    """
    kinds = tuple(kind.smaller(divisor) for kind in KINDS)
    now = now or datetime.now(UTC)
    steps: list[Callable[[Connection], None]] = [
        partial(_fill_numbers, most=max(kind.task_count for kind in kinds)),
        partial(_fill_jobs, kinds=kinds, now=now),
        partial(_fill_workers, now=now),
        partial(_fill_tasks, kinds=kinds),
        partial(_fill_attempts, kinds=kinds, now=now),
        partial(_fill_outputs, kinds=kinds, now=now),
        partial(_fill_counts, kinds=kinds),
        _tidy_up,
    ]
    with engine.connect() as connection:
        connection.detach()  # it ends with us, and with it that it checks no keys
        if connection.dialect.name == "mysql":
            connection.exec_driver_sql("SET foreign_key_checks = 0, unique_checks = 0")
            connection.commit()
        for step in steps:
            with connection.begin():
                step(connection)


def _fill_numbers(connection: Connection, *, most: int) -> None:
    """1, 2, 3 … up to `most`."""
    _numbers.create(connection)
    connection.execute(_numbers.insert(), [{"number": number} for number in range(1, 1001)])
    first, thousands = _numbers.alias("first"), _numbers.alias("thousands")
    number = first.c.number + thousands.c.number * 1000
    rest = select(number).select_from(thousands.join(first, number <= most))
    connection.execute(_numbers.insert().from_select(["number"], rest))


def _fill_jobs(connection: Connection, *, kinds: tuple[JobKind, ...], now: datetime) -> None:
    connection.execute(models.insert(), _model_row(now))
    rows = [_job_row(kind, number, now) for kind in kinds for number in range(1, kind.count + 1)]
    connection.execute(jobs.insert(), rows)
    links = [
        {"job_id": kind.job_id(number), "after_id": kind.after.job_id(1 + number % kind.after.count), "any_end": False}
        for kind in kinds
        if kind.after
        for number in range(1, kind.count + 1)
    ]
    connection.execute(job_dependencies.insert(), links)


def _fill_workers(connection: Connection, *, now: datetime) -> None:
    capabilities = {"cores": 16, "memory_mb": 64_000, "blenders": ["5.0.1"], "gpus": [], "tags": []}
    common = {"host": "node", "state": WorkerState.ACTIVE, "incarnation": "1", "slots": 1, "capabilities": capabilities}
    rows = [{"id": f"w{number}", **common, "started_at": now, "seen_at": now} for number in range(WORKER_COUNT)]
    connection.execute(workers.insert(), rows)
    connection.execute(worker_pools.insert(), [{"worker_id": row["id"], "pool": "default"} for row in rows])


def _fill_tasks(connection: Connection, *, kinds: tuple[JobKind, ...]) -> None:
    def rows(kind: JobKind) -> Select[Any]:
        state = _by_share(kind, {state: literal(state) for state in TaskState})
        owner = _by_share(kind, dict.fromkeys(_ATTEMPT_STATES, _attempt_id()))
        columns = {"frame": _number, "camera": null(), "state": state, "attempts": literal(0), "attempt_id": owner}
        return _each_task(kind, columns)

    _fill_from(connection, tasks, [rows(kind) for kind in kinds])


def _fill_attempts(connection: Connection, *, kinds: tuple[JobKind, ...], now: datetime) -> None:
    earlier = now - timedelta(hours=1)

    def rows(kind: JobKind) -> Select[Any]:
        running = _is_any(kind, _RUNNING)
        columns = {
            "id": _attempt_id(),
            "worker_id": literal("w").concat(cast(_number % WORKER_COUNT, String(8))),
            "incarnation": literal("1"),
            "slot": literal(0),
            "state": _by_share(kind, {of_task: literal(state) for of_task, state in _ATTEMPT_STATES.items()}),
            "claimed_at": _time(earlier),
            "seen_at": case((running, _time(now)), else_=_time(earlier)),
            "started_at": _time(earlier),
            "ended_at": case((running, null()), else_=_time(earlier)),
            "progress": case((running, 0.5), else_=1.0),
            "seconds": case((running, null()), else_=3.0),
        }
        return _each_task(kind, columns).where(_is_any(kind, *_ATTEMPT_STATES))

    _fill_from(connection, attempts, [rows(kind) for kind in kinds if _has(kind, *_ATTEMPT_STATES)])


def _fill_outputs(connection: Connection, *, kinds: tuple[JobKind, ...], now: datetime) -> None:
    random_digest = func.sha2(func.uuid(), 256)
    if connection.dialect.name == "sqlite":
        random_digest = func.lower(func.hex(func.randomblob(32)))

    def rows(kind: JobKind) -> Select[Any]:
        columns = {
            "attempt_id": _attempt_id(),
            "name": cast(_number, String(8)).concat(".png"),
            "frame": _number,
            "digest": random_digest,
            "size": literal(_OUTPUT_BYTES),
            "created_at": _time(now - timedelta(hours=1)),
        }
        return _each_task(kind, columns).where(_is_any(kind, _SUCCEEDED))

    _fill_from(connection, outputs, [rows(kind) for kind in kinds if _has(kind, _SUCCEEDED)])


def _fill_counts(connection: Connection, *, kinds: tuple[JobKind, ...]) -> None:
    """In one row for each job; of those that many workers work on, with rows beside it."""
    columns: dict[str, object] = {column.name: 0 for column in job_counts.c}
    rows = []
    for kind in kinds:
        shards = SHARDS if _has(kind, _RUNNING) else 1
        counts: dict[str, int] = {state.value: count for state, count in kind.shares}
        ends = {f"attempts_{state}": counts.get(state, 0) for state in (_SUCCEEDED, _FAILED)}
        published = counts.get(_SUCCEEDED, 0)
        counts |= ends | {"outputs": published, "output_bytes": published * _OUTPUT_BYTES}
        for number in range(1, kind.count + 1):
            key = {"job_id": kind.job_id(number)}
            rows += [{**columns, **key, "shard": shard, **(counts if shard == 0 else {})} for shard in range(shards)]
    connection.execute(job_counts.insert(), rows)


def _tidy_up(connection: Connection) -> None:
    """Without the numbers, and with the statistics that a server has which lived through all of this."""
    _numbers.drop(connection)
    if connection.dialect.name == "sqlite":  # it has none before somebody asks for them, and nobody does
        return
    names = ", ".join(
        table.name for table in (models, jobs, job_dependencies, workers, tasks, attempts, outputs, job_counts)
    )
    connection.exec_driver_sql(f"ANALYZE TABLE {names}")


def _model_row(now: datetime) -> dict[str, Any]:
    row = {"id": MODEL_ID, "name": "big", "project": "default", "version": 1, "owner": "ada", "created_at": now}
    return row | {"main": "big.blend", "digest": "d" * 64, "facts": {}, "size": 1, "files": 1}


def _job_row(kind: JobKind, number: int, now: datetime) -> dict[str, Any]:
    earlier = now - timedelta(hours=1)
    begun = kind.state is not JobState.QUEUED
    return {
        "id": kind.job_id(number),
        "name": "big",
        "state": kind.state,
        "model_id": MODEL_ID,
        "model": "big@1",
        "options": RenderOptions().as_document(),
        "frames": f"1-{kind.task_count}",
        "cameras": [None],
        "project": "default",
        "owner": "ada",
        "pool": "default",
        "priority": number % 10,
        "max_attempts": 3,
        "serial": 5 if begun else 1,
        "created_at": now - timedelta(days=1),
        "started_at": earlier if begun else None,
        "finished_at": earlier if kind.state not in (JobState.QUEUED, JobState.RUNNING) else None,
        "served_at": earlier if begun else None,
        "claimable_at": earlier if _has(kind, _QUEUED) else None,
        "in_order": False,
        "stop_settled": kind.state in ENDED_JOB,
        "nudges": 0,
        "notes": [],
        "task_count": kind.task_count,
    }


def _each_task(kind: JobKind, columns: Mapping[str, Any]) -> Select[Any]:
    """A row for each task of the jobs of a kind, in the order of the tasks' keys."""
    named = {"job_id": jobs.c.id, "number": _number, **columns}
    query = select(*(value.label(name) for name, value in named.items()))
    query = query.select_from(jobs.join(_numbers, _number <= kind.task_count))
    return query.where(jobs.c.id.between(kind.job_id(1), kind.job_id(kind.count)))


def _fill_from(connection: Connection, table: Table, parts: list[Select[Any]]) -> None:
    names = [column.name for column in parts[0].selected_columns]
    connection.execute(table.insert().from_select(names, union_all(*parts)))


def _by_share(kind: JobKind, values: Mapping[TaskState, Any]) -> ColumnElement[Any]:
    """The value that goes with the state of a task; NULL for states without one."""
    upto, cases = 0, []
    for state, count in kind.shares:
        upto += count
        cases.append((_number <= upto, values.get(state, null())))
    return case(*cases)


def _is_any(kind: JobKind, *states: TaskState) -> ColumnElement[bool]:
    """Whether a task is in one of the states."""
    return _by_share(kind, dict.fromkeys(states, literal(1))) == 1


def _has(kind: JobKind, *states: TaskState) -> bool:
    return any(state in states for state, _ in kind.shares)


def _attempt_id() -> ColumnElement[str]:
    """Of the only attempt at a task: they sort as their tasks do."""
    return jobs.c.id.concat(cast(_number + 1_000_000, String(7)))


def _time(at: datetime) -> ColumnElement[datetime]:
    return literal(at, tasks.c.not_before.type)
