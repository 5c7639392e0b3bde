"""The one table of states and steps."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from renderctl.core.errors import IllegalTransition
from renderctl.core.states import (
    ENDED_JOB,
    ENDED_TASK,
    JOB_TRANSITIONS,
    OPEN_JOB,
    OPEN_TASK,
    PRESENT_WORKER_STATES,
    TASK_TRANSITIONS,
    WORKER_TRANSITIONS,
    JobState,
    TaskState,
    WorkerState,
    predecessors,
    transition,
)


def test_every_state_has_its_steps() -> None:
    assert set(JOB_TRANSITIONS) == set(JobState)
    assert set(TASK_TRANSITIONS) == set(TaskState)


def test_a_state_is_open_or_ended() -> None:
    assert set(JobState) == OPEN_JOB | ENDED_JOB
    assert set(TaskState) == OPEN_TASK | ENDED_TASK
    assert not OPEN_JOB & ENDED_JOB
    assert not OPEN_TASK & ENDED_TASK


@pytest.mark.parametrize(("current", "following"), list(product(JobState, JobState)))
def test_a_job_takes_the_steps_of_the_table_and_no_other(current: JobState, following: JobState) -> None:
    if following in JOB_TRANSITIONS[current]:
        assert transition(current, following) is following
        assert current in predecessors(following)
    else:
        with pytest.raises(IllegalTransition):
            transition(current, following)
        assert current not in predecessors(following)


@pytest.mark.parametrize(("current", "following"), list(product(TaskState, TaskState)))
def test_a_task_takes_the_steps_of_the_table_and_no_other(current: TaskState, following: TaskState) -> None:
    if following in TASK_TRANSITIONS[current]:
        assert transition(current, following) is following
        assert current in predecessors(following)
    else:
        with pytest.raises(IllegalTransition):
            transition(current, following)
        assert current not in predecessors(following)


def test_an_illegal_transition_is_explained() -> None:
    with pytest.raises(IllegalTransition, match="A succeeded job cannot become paused") as caught:
        transition(JobState.SUCCEEDED, JobState.PAUSED)
    assert caught.value.hint == "It can become: running."


@pytest.mark.parametrize("state", sorted(ENDED_JOB))
def test_an_ended_job_only_runs_again(state: JobState) -> None:
    assert JOB_TRANSITIONS[state] == {JobState.RUNNING}


@pytest.mark.parametrize("state", sorted(ENDED_TASK))
def test_an_ended_task_only_waits_for_its_turn_again(state: TaskState) -> None:
    assert TASK_TRANSITIONS[state] - {TaskState.BLOCKED} == {TaskState.QUEUED}


def test_every_state_can_be_reached_and_every_open_one_can_end() -> None:
    assert set().union(*JOB_TRANSITIONS.values()) == set(JobState)
    assert set().union(*TASK_TRANSITIONS.values()) == set(TaskState)
    assert all(JobState.CANCELED in JOB_TRANSITIONS[state] for state in OPEN_JOB)
    assert all(TaskState.CANCELED in TASK_TRANSITIONS[state] for state in OPEN_TASK)


def test_every_worker_that_is_present_may_leave_or_be_lost_and_comes_back_as_it_was() -> None:
    assert set(WORKER_TRANSITIONS) == set(WorkerState)
    for state in PRESENT_WORKER_STATES:
        assert {WorkerState.GONE, WorkerState.LOST} <= WORKER_TRANSITIONS[state]
        assert state in WORKER_TRANSITIONS[WorkerState.GONE]
        assert state in WORKER_TRANSITIONS[WorkerState.LOST]


@pytest.mark.parametrize(
    ("title", "steps"), [("Jobs", JOB_TRANSITIONS), ("Tasks", TASK_TRANSITIONS), ("Workers", WORKER_TRANSITIONS)]
)
def test_the_documented_states_are_those_of_the_table(title: str, steps: Mapping[str, frozenset[str]]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "states.md").read_text(encoding="utf-8")
    section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    documented = {name: frozenset(following.split(", ")) for name, _, following in rows[1:]}
    assert documented == {str(state): frozenset(map(str, following)) for state, following in steps.items()}
