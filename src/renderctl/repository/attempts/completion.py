"""Completed frames: their outputs published and their tasks ended, any number in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, func, select

from renderctl.core.attempts import Completion
from renderctl.core.jobs import Attempt, Output
from renderctl.core.states import OPEN_ATTEMPT, AttemptState, TaskState
from renderctl.core.webhooks import Event
from renderctl.repository.attempts.lifecycle import start, task_document
from renderctl.repository.blobs.references import require_not_collected
from renderctl.repository.counts import count_change, count_ended_attempts
from renderctl.repository.database import db_now
from renderctl.repository.jobs.task_states import succeed_tasks
from renderctl.repository.schema.jobs import attempts, outputs, tasks
from renderctl.repository.webhooks.outbox import add_event

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NUMBERS: BindParameter[Any] = bindparam("numbers", expanding=True)
# What every frame costs is built once: with SQLAlchemy the building of a statement takes longer than its execution.
_OWNING = (
    select(tasks.c.attempt_id)
    .where(tasks.c.job_id == bindparam("job"), tasks.c.number.in_(_NUMBERS))
    .where(tasks.c.attempt_id.in_(_IDS), tasks.c.state == TaskState.SUCCEEDED)
)
_DONE_BEFORE = select(attempts.c.id).where(attempts.c.id.in_(_IDS), attempts.c.state == AttemptState.SUCCEEDED)
_OF_TASKS = (outputs.c.job_id == bindparam("job")) & outputs.c.number.in_(_NUMBERS)
_PUBLISHED = select(func.count(), func.coalesce(func.sum(outputs.c.size), 0)).where(_OF_TASKS)
_UNPUBLISH = outputs.delete().where(_OF_TASKS)
_PUBLISH = outputs.insert()


def complete_all(
    connection: Connection, completions: Sequence[Completion], starting: Sequence[Attempt], since: datetime | None
) -> frozenset[str]:
    """Do the transaction of `Attempts.complete_all`."""
    fresh, superseded = _succeed(connection, completions)
    if fresh:
        _publish(connection, fresh)
        ids = [completion.attempt.id for completion in fresh]
        claimed = select(func.min(attempts.c.claimed_at)).where(attempts.c.id.in_(ids)).scalar_subquery()
        digests = {output.digest for completion in fresh for output in completion.outputs}
        require_not_collected(connection, digests, since or claimed)
        _end_attempts(connection, fresh)
        add_event(connection, Event.OUTPUT_PUBLISHED, fresh[0].attempt.job_id, _output_payloads(fresh))
    for attempt in starting:  # after their predecessors: heartbeats lock them in this order, too
        start(connection, attempt)
    return superseded


def _succeed(connection: Connection, completions: Sequence[Completion]) -> tuple[Sequence[Completion], frozenset[str]]:
    """End the tasks; return what was ended just now, and the ids of attempts that no longer own their task."""
    ids = {completion.attempt.id for completion in completions}
    owners: dict[str, Any] = {
        "job": completions[0].attempt.job_id,
        "numbers": [completion.attempt.number for completion in completions],
        "ids": list(ids),
    }
    if succeed_tasks(connection, owners["job"], [completion.attempt for completion in completions]) == len(completions):
        return completions, frozenset()
    before = set(connection.scalars(_DONE_BEFORE, {"ids": list(ids)}))
    owning = set(connection.scalars(_OWNING, owners))
    return [completion for completion in completions if completion.attempt.id in owning - before], frozenset(
        ids - owning - before
    )


def _publish(connection: Connection, completions: Sequence[Completion]) -> None:
    """Publish the outputs in place of those of earlier renderings."""
    first = completions[0].attempt
    of_tasks = {"job": first.job_id, "numbers": [completion.attempt.number for completion in completions]}
    earlier, earlier_bytes = connection.execute(_PUBLISHED, of_tasks).one()
    if earlier:
        connection.execute(_UNPUBLISH, of_tasks)
    now = db_now(connection)
    rows = [_row(completion.attempt, output, now) for completion in completions for output in completion.outputs]
    if rows:
        connection.execute(_PUBLISH, rows)
    size = sum(output.size for completion in completions for output in completion.outputs)
    more = {"outputs": len(rows) - earlier, "output_bytes": size - int(earlier_bytes)}
    count_change(connection, first.job_id, more, worker_id=first.worker_id)


def _end_attempts(connection: Connection, completions: Sequence[Completion]) -> None:
    """End the attempts with one statement, however many they are."""
    now = db_now(connection)
    values: dict[str, Any] = {
        "state": AttemptState.SUCCEEDED,
        "started_at": func.coalesce(attempts.c.started_at, now),
        "ended_at": now,
        "progress": 1.0,
        "seconds": _by_attempt({completion.attempt.id: completion.cost.seconds for completion in completions}),
        "memory_mb": _by_attempt({completion.attempt.id: completion.cost.memory_mb for completion in completions}),
        "device": _by_attempt({completion.attempt.id: completion.cost.device for completion in completions}),
        "log": _by_attempt({completion.attempt.id: completion.log for completion in completions}),
    }
    of_these = attempts.c.id.in_([completion.attempt.id for completion in completions])
    ended = connection.execute(attempts.update().where(of_these, attempts.c.state.in_(OPEN_ATTEMPT)).values(values))
    first = completions[0].attempt
    count_ended_attempts(connection, first.job_id, AttemptState.SUCCEEDED, ended.rowcount, worker_id=first.worker_id)


def _by_attempt(values: dict[str, Any]) -> Any:
    """Return an expression with the value of each attempt; the value itself if all have the same."""
    first = next(iter(values.values()))
    if all(value == first for value in values.values()):
        return first
    return case(values, value=attempts.c.id)


def _output_payloads(completions: Sequence[Completion]) -> Iterator[dict[str, Any]]:
    """Yield what receivers get of each output."""
    for completion in completions:
        attempt = completion.attempt
        for output in completion.outputs:
            of_task = replace(output, frame=attempt.frame, camera=attempt.camera, number=attempt.number)
            yield {"task": task_document(attempt), "output": of_task}


def _row(attempt: Attempt, output: Output, now: datetime) -> dict[str, Any]:
    return {
        "job_id": attempt.job_id,
        "number": attempt.number,
        "attempt_id": attempt.id,
        "name": output.name,
        "frame": attempt.frame,
        "camera": attempt.camera,
        "digest": output.digest,
        "size": output.size,
        "width": output.width,
        "height": output.height,
        "device": output.device,
        "image": output.image,
        "created_at": now,
    }
