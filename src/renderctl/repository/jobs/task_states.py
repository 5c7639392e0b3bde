"""Every statement that sets the state of a task. Each counts what it changes: nothing else may set one."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, select

from renderctl.core.jobs import Attempt
from renderctl.core.states import TaskState
from renderctl.repository.counts import count_change
from renderctl.repository.jobs.task_rows import TaskBatch, insert_rows
from renderctl.repository.schema.jobs import attempts, by_state, tasks

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NUMBERS: BindParameter[Any] = bindparam("numbers", expanding=True)
_OF_JOB = tasks.c.job_id == bindparam("job")
# What every frame costs is built once: with SQLAlchemy the building of a statement takes longer than its execution.
_TAKE = (
    tasks.update()
    .where(_OF_JOB, tasks.c.number.in_(_NUMBERS))
    .values(
        state=TaskState.RUNNING,
        not_before=None,
        attempt_id=select(attempts.c.id)
        .where(attempts.c.job_id == tasks.c.job_id, attempts.c.number == tasks.c.number, attempts.c.id.in_(_IDS))
        .correlate(tasks)
        .scalar_subquery(),
    )
)
_SUCCEED = (
    tasks.update()
    .where(_OF_JOB, tasks.c.number.in_(_NUMBERS), tasks.c.attempt_id.in_(_IDS), tasks.c.state == TaskState.RUNNING)
    .values(state=TaskState.SUCCEEDED, error=None)
)


def insert_tasks(connection: Connection, job_id: str, batch: TaskBatch, state: TaskState) -> None:
    """Insert tasks of a job, all in one state."""
    insert_rows(connection, job_id, batch, state)
    count_change(connection, job_id, {state: len(batch)})


def take_tasks(connection: Connection, job_id: str, taken: Sequence[Attempt]) -> None:
    """Give queued tasks, which the transaction has locked, to these attempts of one worker."""
    numbers, ids = [attempt.number for attempt in taken], [attempt.id for attempt in taken]
    count = connection.execute(_TAKE, {"job": job_id, "numbers": numbers, "ids": ids}).rowcount
    changes: dict[str, int] = {TaskState.QUEUED: -count, TaskState.RUNNING: count}
    count_change(connection, job_id, changes, worker_id=taken[0].worker_id)


def succeed_tasks(connection: Connection, job_id: str, done: Sequence[Attempt]) -> int:
    """End the tasks that these attempts of one worker still own; return how many."""
    numbers, ids = [attempt.number for attempt in done], [attempt.id for attempt in done]
    count = connection.execute(_SUCCEED, {"job": job_id, "numbers": numbers, "ids": ids}).rowcount
    changes: dict[str, int] = {TaskState.RUNNING: -count, TaskState.SUCCEEDED: count}
    count_change(connection, job_id, changes, worker_id=done[0].worker_id)
    return count


def move_from_running(connection: Connection, attempt: Attempt, state: TaskState, **changes: Any) -> bool:
    """Move the task of an attempt to another state, with other changes, if the attempt still owns it; return whether it
    does.
    """
    owned = (tasks.c.job_id == attempt.job_id) & (tasks.c.number == attempt.number)
    owned &= (tasks.c.state == TaskState.RUNNING) & (tasks.c.attempt_id == attempt.id)
    count = connection.execute(tasks.update().where(owned).values(state=state, **changes)).rowcount
    changed: dict[str, int] = {TaskState.RUNNING: -count, state: count}
    count_change(connection, attempt.job_id, changed, worker_id=attempt.worker_id)
    return count == 1


def move_tasks(
    connection: Connection, job_id: str, numbers: Sequence[int], source: TaskState, target: TaskState, **changes: Any
) -> int:
    """Move those of the tasks that are in state `source` to `target`, with other changes; return how many."""
    first, last = min(numbers), max(numbers)
    gapless = len(set(numbers)) == last - first + 1
    among = tasks.c.number.between(first, last) if gapless else tasks.c.number.in_(numbers)
    return _move(connection, job_id, among, (source, target), changes)


def move_first(
    connection: Connection, job_id: str, limit: int, source: TaskState, target: TaskState, **changes: Any
) -> int:
    """Move the first tasks in state `source`, up to `limit`, to `target`, with other changes; return how many.

    The index gives the range, and the statement is as short for a million of them as for one.
    """
    in_order = by_state.where(tasks.c.job_id == job_id, tasks.c.state == source).order_by(tasks.c.number).limit(1)
    first, last = connection.scalar(in_order), connection.scalar(in_order.offset(limit - 1))
    if first is None:
        return 0
    among = tasks.c.number >= first if last is None else tasks.c.number.between(first, last)
    return _move(connection, job_id, among, (source, target), changes)


def _move(
    connection: Connection,
    job_id: str,
    among: ColumnElement[bool],
    steps: tuple[TaskState, TaskState],
    changes: Mapping[str, Any],
) -> int:
    source, target = steps
    which = (tasks.c.job_id == job_id) & (tasks.c.state == source) & among
    count = connection.execute(tasks.update().where(which).values(state=target, **changes)).rowcount
    count_change(connection, job_id, {source: -count, target: count})
    return count


def delete_tasks(connection: Connection, job_id: str, before: int) -> None:
    """Delete the tasks below a number of a removed job. Its counts are deleted with its row."""
    connection.execute(tasks.delete().where(tasks.c.job_id == job_id, tasks.c.number < before))
