"""The states of jobs, tasks, attempts and workers, and the only steps between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from renderctl.core.errors import IllegalTransition


class JobState(StrEnum):
    QUEUED = "queued"  #: submitted; nothing has started
    RUNNING = "running"  #: at least one task has been claimed
    PAUSED = "paused"  #: running frames finish, no more start
    SUCCEEDED = "succeeded"  #: every task succeeded
    FAILED = "failed"  #: no task is open and one or more failed
    CANCELED = "canceled"  #: stopped by a person


class TaskState(StrEnum):
    BLOCKED = "blocked"  #: waits for another task or job
    QUEUED = "queued"  #: may be claimed
    RUNNING = "running"  #: claimed by an attempt
    SUCCEEDED = "succeeded"  #: its outputs are published
    FAILED = "failed"  #: its attempts are used up, or a retry can not help
    CANCELED = "canceled"  #: stopped with its job


class AttemptState(StrEnum):
    CLAIMED = "claimed"  #: owned by a slot, not started yet: goes back free of charge
    RUNNING = "running"  #: Blender works on it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"  #: its worker went silent, or does not know it any more
    RELEASED = "released"  #: given back before it was started


class WorkerState(StrEnum):
    ACTIVE = "active"  #: takes work
    UNHEALTHY = "unhealthy"  #: something is wrong with its node: it takes nothing until that is over
    DRAINING = "draining"  #: asked to: it finishes what it holds and takes no more until it is resumed
    QUARANTINED = "quarantined"  #: it failed where others succeed: it takes nothing until it is resumed
    GONE = "gone"  #: left in good order
    LOST = "lost"  #: its heart stopped beating


_JOB = JobState
_TASK = TaskState

JOB_STEPS: Mapping[JobState, frozenset[JobState]] = {
    _JOB.QUEUED: frozenset({_JOB.RUNNING, _JOB.PAUSED, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.RUNNING: frozenset({_JOB.PAUSED, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.PAUSED: frozenset({_JOB.QUEUED, _JOB.RUNNING, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.SUCCEEDED: frozenset({_JOB.RUNNING}),
    _JOB.FAILED: frozenset({_JOB.RUNNING}),
    _JOB.CANCELED: frozenset({_JOB.RUNNING}),
}

TASK_STEPS: Mapping[TaskState, frozenset[TaskState]] = {
    _TASK.BLOCKED: frozenset({_TASK.QUEUED, _TASK.CANCELED}),
    _TASK.QUEUED: frozenset({_TASK.RUNNING, _TASK.CANCELED}),
    _TASK.RUNNING: frozenset({_TASK.QUEUED, _TASK.SUCCEEDED, _TASK.FAILED, _TASK.CANCELED}),
    _TASK.SUCCEEDED: frozenset({_TASK.QUEUED}),
    _TASK.FAILED: frozenset({_TASK.QUEUED}),
    _TASK.CANCELED: frozenset({_TASK.QUEUED, _TASK.BLOCKED}),  # what its job waits for may not be done yet
}

_WORKER = WorkerState
#: Workers whose hearts beat.
PRESENT_WORKER = frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.DRAINING, _WORKER.QUARANTINED})

WORKER_STEPS: Mapping[WorkerState, frozenset[WorkerState]] = {
    _WORKER.ACTIVE: frozenset(_WORKER) - {_WORKER.ACTIVE},
    _WORKER.UNHEALTHY: frozenset(_WORKER) - {_WORKER.UNHEALTHY},
    _WORKER.DRAINING: frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.GONE, _WORKER.LOST}),
    _WORKER.QUARANTINED: frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.GONE, _WORKER.LOST}),
    _WORKER.GONE: PRESENT_WORKER,
    _WORKER.LOST: frozenset(_WORKER) - {_WORKER.LOST},
}

#: What the steps back from an end are called: `retry`. All others are the farm's own or `control`'s.
ENDED_JOB = frozenset({_JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED})
OPEN_JOB = frozenset(_JOB) - ENDED_JOB
CLAIMABLE_JOB = OPEN_JOB - {_JOB.PAUSED}
ENDED_TASK = frozenset({_TASK.SUCCEEDED, _TASK.FAILED, _TASK.CANCELED})
OPEN_TASK = frozenset(_TASK) - ENDED_TASK
OPEN_ATTEMPT = frozenset({AttemptState.CLAIMED, AttemptState.RUNNING})

State = TypeVar("State", JobState, TaskState)


def transition(current: State, following: State) -> State:
    """The `following` state, if it may come after the `current` one. Raises IllegalTransition."""
    steps: Mapping[State, frozenset[State]] = JOB_STEPS if isinstance(current, JobState) else TASK_STEPS
    if following not in steps[current]:
        noun = "job" if isinstance(current, JobState) else "task"
        allowed = ", ".join(sorted(steps[current]))
        raise IllegalTransition(f"A {current} {noun} can not become {following}.", hint=f"It can become: {allowed}.")
    return following


def before(following: State) -> frozenset[State]:
    """Every state from which `following` may be reached: for conditional updates."""
    steps = JOB_STEPS if isinstance(following, JobState) else TASK_STEPS
    return frozenset(state for state, nexts in steps.items() if following in nexts)
