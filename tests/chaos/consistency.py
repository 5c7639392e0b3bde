"""What must be true of the rows of a job however it has ended, and of the farm once everybody has gone home."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from renderctl.core.actors import local_actor
from renderctl.core.states import AttemptState, TaskState
from renderctl.farm import Farm
from renderctl.farm.admin.gc import collect
from renderctl.farm.admin.scrub import scrub
from renderctl.farm.admin.sweep import sweep_here
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.repository.schema.jobs import (
    attempts,
    job_dependencies,
    job_exclusions,
    job_inputs,
    jobs,
    model_inputs,
    outputs,
    tasks,
    workers,
)
from tests.chaos.history import JobHistory
from tests.chaos.verdict import require_explained, whole_blobs

_ACTOR = local_actor("verdict")
_CHARGED = (AttemptState.LOST, AttemptState.FAILED)
#: What a sweep could change; not the times at which workers and leases were seen.
_SWEPT = (jobs, tasks, attempts, outputs, job_inputs, job_dependencies, job_exclusions)
#: Rows of a job, which go when it is removed.
_OF_A_JOB = (tasks, attempts, outputs, job_inputs, job_dependencies, job_exclusions)


def require_consistent(farm: Farm, history: JobHistory, side: int, blobs: Mapping[str, int]) -> Counter[str]:
    """Its rows fit together, and what they point to is in the store. Returns how many attempts ended how."""
    require_explained(history.attempts)
    _require_charged(history)
    by_number: defaultdict[int, list[Any]] = defaultdict(list)
    for row in history.outputs:
        by_number[row.number].append(row)
    ended = {row.id: AttemptState(row.state) for row in history.attempts}
    for task in history.tasks:
        published = by_number.pop(task.number, [])
        assert [row.name for row in published] in ([], [f"{task.frame:04d}.png"]), published
        assert all(ended.get(row.attempt_id) is AttemptState.SUCCEEDED for row in published), (task, published)
        if task.state == TaskState.SUCCEEDED:
            assert [row.attempt_id for row in published] == [task.attempt_id], (task, published)
    assert not by_number, ("outputs of no task", by_number)
    _require_rendered_once(history)
    logged = {attempt.id: attempt for attempt in farm.repository.attempts.of_job(history.id)}
    for row in history.outputs:
        assert (row.width, row.height, blobs.get(row.digest)) == (side, side, row.size), row
        assert any(kept_log(farm, logged[row.attempt_id])), row
    return Counter(f"attempts {state}" for state in ended.values())


def require_all_collected(farm: Farm) -> Mapping[str, int]:
    """After a collection every row points to a blob that is whole, and rows of removed jobs are gone.

    Returns the sizes of all blobs.
    """
    while farm.repository.recovery.delete_removed_batch():
        pass
    collected = collect(farm, _ACTOR, grace_hours=0)
    assert collected.missing == [], collected
    scrubbed = scrub(farm, _ACTOR, days=1)
    assert (scrubbed.damaged, scrubbed.needed_by) == ([], []), scrubbed
    blobs = whole_blobs(farm)
    for table in (outputs, job_inputs, model_inputs):
        digests = {row.digest for row in _rows(farm, table)}
        assert digests <= blobs.keys(), (table.name, digests - blobs.keys())
    present = {row.id for row in _rows(farm, jobs)}
    for table in _OF_A_JOB:
        assert {row.job_id for row in _rows(farm, table)} <= present, table.name
    return blobs


def require_silent_sweep(farm: Farm) -> None:
    """One sweep may have something to repair; after it there is nothing left to do."""
    sweep_here(farm, _ACTOR, wait=True)
    before = {table.name: _rows(farm, table) for table in (*_SWEPT, workers)}
    swept = sweep_here(farm, _ACTOR, wait=True)
    assert swept.held, swept
    changes = (swept.lost_workers, swept.requeued, swept.ended, swept.tickets, swept.canceled)
    assert changes == ((), 0, (), 0, 0), swept
    after = {table.name: _rows(farm, table) for table in (*_SWEPT, workers)}
    for name, rows in before.items():
        assert after[name] == rows, name


def _require_charged(history: JobHistory) -> None:
    """Every attempt that a task was charged for is one that was lost or has failed; a retry begins anew."""
    charged = Counter(row.number for row in history.attempts if row.state in _CHARGED)
    for task in history.tasks:
        if history.retried:
            assert task.attempts <= charged[task.number], (task, charged[task.number])
        else:
            assert task.attempts == charged[task.number], (task, charged[task.number])


def _require_rendered_once(history: JobHistory) -> None:
    """A frame is rendered to its end once, unless somebody wanted it again."""
    rendered = Counter(row.number for row in history.attempts if row.state == AttemptState.SUCCEEDED)
    for task in history.tasks:
        done = task.state == TaskState.SUCCEEDED
        if history.retried:
            assert rendered[task.number] >= int(done), (task, rendered[task.number])
        else:
            assert rendered[task.number] == int(done), (task, rendered[task.number])


def _rows(farm: Farm, table: Any) -> Sequence[Any]:
    query = select(table).order_by(*table.primary_key.columns)
    return list(farm.repository.database.read(lambda connection: connection.execute(query).all()))
