"""The state machines of jobs, tasks, attempts and workers."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from renderctl.core.errors import IllegalTransition


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"  #: submitted; nothing has started
    RUNNING = "running"  #: at least one task has been claimed
    PAUSED = "paused"  #: running frames finish, no others start
    SUCCEEDED = "succeeded"  #: every task succeeded
    FAILED = "failed"  #: no task is open, and at least one failed
    CANCELED = "canceled"  #: stopped by a person


class TaskState(StrEnum):
    """The state of a task."""

    BLOCKED = "blocked"  #: waits for another task or job
    QUEUED = "queued"  #: may be claimed
    RUNNING = "running"  #: claimed by an attempt
    SUCCEEDED = "succeeded"  #: its outputs are published
    FAILED = "failed"  #: its attempts are used up, or a retry cannot help
    CANCELED = "canceled"  #: stopped with its job


class AttemptState(StrEnum):
    """The state of an attempt."""

    CLAIMED = "claimed"  #: owned by a slot, not started yet: releasing it costs no attempt
    RUNNING = "running"  #: Blender renders it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"  #: its worker's heartbeat stopped, or the worker no longer has it
    RELEASED = "released"  #: returned before it was started


class WorkerState(StrEnum):
    """The state of a worker."""

    ACTIVE = "active"  #: accepts work
    UNHEALTHY = "unhealthy"  #: its node has a problem: it accepts no work until that is solved
    DRAINING = "draining"  #: on request: it finishes its tasks and accepts no others until it is resumed
    QUARANTINED = "quarantined"  #: it failed where others succeed: it accepts no work until it is resumed
    GONE = "gone"  #: it shut down cleanly
    LOST = "lost"  #: its heartbeat stopped


_JOB = JobState
_TASK = TaskState

JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    _JOB.QUEUED: frozenset({_JOB.RUNNING, _JOB.PAUSED, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.RUNNING: frozenset({_JOB.PAUSED, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.PAUSED: frozenset({_JOB.QUEUED, _JOB.RUNNING, _JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED}),
    _JOB.SUCCEEDED: frozenset({_JOB.RUNNING}),
    _JOB.FAILED: frozenset({_JOB.RUNNING}),
    _JOB.CANCELED: frozenset({_JOB.RUNNING}),
}

TASK_TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    _TASK.BLOCKED: frozenset({_TASK.QUEUED, _TASK.CANCELED}),
    _TASK.QUEUED: frozenset({_TASK.RUNNING, _TASK.CANCELED}),
    _TASK.RUNNING: frozenset({_TASK.QUEUED, _TASK.SUCCEEDED, _TASK.FAILED, _TASK.CANCELED}),
    _TASK.SUCCEEDED: frozenset({_TASK.QUEUED}),
    _TASK.FAILED: frozenset({_TASK.QUEUED}),
    _TASK.CANCELED: frozenset({_TASK.QUEUED, _TASK.BLOCKED}),  # the jobs that it depends on may not have ended
}

_WORKER = WorkerState
#: States of workers whose heartbeat is current.
PRESENT_WORKER_STATES = frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.DRAINING, _WORKER.QUARANTINED})

WORKER_TRANSITIONS: Mapping[WorkerState, frozenset[WorkerState]] = {
    _WORKER.ACTIVE: frozenset(_WORKER) - {_WORKER.ACTIVE},
    _WORKER.UNHEALTHY: frozenset(_WORKER) - {_WORKER.UNHEALTHY},
    _WORKER.DRAINING: frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.GONE, _WORKER.LOST}),
    _WORKER.QUARANTINED: frozenset({_WORKER.ACTIVE, _WORKER.UNHEALTHY, _WORKER.GONE, _WORKER.LOST}),
    _WORKER.GONE: PRESENT_WORKER_STATES,
    _WORKER.LOST: frozenset(_WORKER) - {_WORKER.LOST},
}

#: Only a retry leaves an ended state; all other transitions are the farm's own or job control.
ENDED_JOB = frozenset({_JOB.SUCCEEDED, _JOB.FAILED, _JOB.CANCELED})
OPEN_JOB = frozenset(_JOB) - ENDED_JOB
CLAIMABLE_JOB = OPEN_JOB - {_JOB.PAUSED}
ENDED_TASK = frozenset({_TASK.SUCCEEDED, _TASK.FAILED, _TASK.CANCELED})
OPEN_TASK = frozenset(_TASK) - ENDED_TASK
OPEN_ATTEMPT = frozenset({AttemptState.CLAIMED, AttemptState.RUNNING})

State = TypeVar("State", JobState, TaskState)


def transition(current: State, following: State) -> State:
    """Return the `following` state if the transition is allowed. Raises IllegalTransition."""
    steps: Mapping[State, frozenset[State]] = JOB_TRANSITIONS if isinstance(current, JobState) else TASK_TRANSITIONS
    if following not in steps[current]:
        noun = "job" if isinstance(current, JobState) else "task"
        allowed = ", ".join(sorted(steps[current]))
        raise IllegalTransition(f"A {current} {noun} cannot become {following}.", hint=f"It can become: {allowed}.")
    return following


def predecessors(following: State) -> frozenset[State]:
    """Return the states from which `following` can be reached, for conditional updates."""
    steps = JOB_TRANSITIONS if isinstance(following, JobState) else TASK_TRANSITIONS
    return frozenset(state for state, successors in steps.items() if following in successors)
