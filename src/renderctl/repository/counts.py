"""Counts of a job: changed in the transaction that changes what they count, and summed up by readers.

They are sharded, so that workers that end tasks of one job at the same time do not wait for each other. A transaction
writes its changes at its very end, in the order of the rows: whoever holds one of them waits only for later ones, so
that no deadlock can occur.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, Select, func, select

from renderctl.core.jobs import TaskCounts
from renderctl.core.states import OPEN_ATTEMPT, AttemptState, TaskState
from renderctl.repository.database import unit_of
from renderctl.repository.schema.counts import job_counts

#: Shards, one for each worker; what concerns no worker goes to the first. SQLite, which has one
#: writer at a time, needs only that one.
SHARDS = 8
#: The shard of corrections: nobody waits while one is computed, and they stay visible.
CORRECTIONS = SHARDS
_TASK_STATES = tuple(state.value for state in TaskState)


@dataclass(frozen=True)
class JobCounts:
    """The counts of a job."""

    tasks: TaskCounts
    outputs: int = 0
    output_bytes: int = 0


def count_change(
    connection: Connection, job_id: str, changes: Mapping[str, int], *, worker_id: str | None = None
) -> None:
    """Have the commit of this transaction add to the counts of a job; negative numbers subtract.

    `worker_id`: the worker that does it, if one does.
    """
    pending = unit_of(connection).counts
    sharded = worker_id is not None and connection.dialect.name != "sqlite"
    pending.add(job_id, shard_of(worker_id) if sharded and worker_id else 0, changes)


def count_ended_attempts(
    connection: Connection, job_id: str, state: AttemptState, count: int, *, worker_id: str
) -> None:
    """Count attempts that have ended, and how."""
    if state in OPEN_ATTEMPT:
        raise ValueError(f"an attempt that is {state} has not ended")
    count_change(connection, job_id, {f"attempts_{state}": count}, worker_id=worker_id)


def shard_of(worker_id: str) -> int:
    """Return the shard of a worker, the same in every process."""
    return crc32(worker_id.encode()) % SHARDS


def read_counts(connection: Connection, job_ids: Sequence[str]) -> dict[str, JobCounts]:
    """Return the counts of the jobs from a few rows of each, however many tasks they have."""
    counts = dict.fromkeys(job_ids, JobCounts(TaskCounts()))
    query = sum_counts("outputs", "output_bytes", *_TASK_STATES).where(job_counts.c.job_id.in_(job_ids))
    for row in connection.execute(query):
        by_state = {state: int(getattr(row, state)) for state in _TASK_STATES}
        counts[row.job_id] = JobCounts(TaskCounts(**by_state), int(row.outputs), int(row.output_bytes))
    return counts


def count_tasks(connection: Connection, job_id: str) -> TaskCounts:
    """Return how many tasks of a job are in each state."""
    return read_counts(connection, [job_id])[job_id].tasks


def sum_counts(*names: str) -> Select[Any]:
    """Return the query of counts of every job, its shards summed up."""
    columns = (func.sum(job_counts.c[name]).label(name) for name in names)
    return select(job_counts.c.job_id, *columns).group_by(job_counts.c.job_id)


def delete_counts(connection: Connection, job_id: str) -> None:
    """Delete the counts of a job."""
    connection.execute(job_counts.delete().where(job_counts.c.job_id == job_id))
