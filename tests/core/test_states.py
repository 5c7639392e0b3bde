"""The one table of states and steps."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from renderctl.core.errors import IllegalTransition
from renderctl.core.states import (
    ENDED_JOB,
    ENDED_TASK,
    JOB_STEPS,
    OPEN_JOB,
    OPEN_TASK,
    PRESENT_WORKER,
    TASK_STEPS,
    WORKER_STEPS,
    JobState,
    TaskState,
    WorkerState,
    before,
    transition,
)


def test_every_state_has_its_steps() -> None:
    assert set(JOB_STEPS) == set(JobState)
    assert set(TASK_STEPS) == set(TaskState)


def test_a_state_is_open_or_ended() -> None:
    assert set(JobState) == OPEN_JOB | ENDED_JOB
    assert set(TaskState) == OPEN_TASK | ENDED_TASK
    assert not OPEN_JOB & ENDED_JOB
    assert not OPEN_TASK & ENDED_TASK


@pytest.mark.parametrize(("current", "following"), list(product(JobState, JobState)))
def test_a_job_takes_the_steps_of_the_table_and_no_other(current: JobState, following: JobState) -> None:
    if following in JOB_STEPS[current]:
        assert transition(current, following) is following
        assert current in before(following)
    else:
        with pytest.raises(IllegalTransition):
            transition(current, following)
        assert current not in before(following)


@pytest.mark.parametrize(("current", "following"), list(product(TaskState, TaskState)))
def test_a_task_takes_the_steps_of_the_table_and_no_other(current: TaskState, following: TaskState) -> None:
    if following in TASK_STEPS[current]:
        assert transition(current, following) is following
        assert current in before(following)
    else:
        with pytest.raises(IllegalTransition):
            transition(current, following)
        assert current not in before(following)


def test_an_illegal_step_is_said_in_words() -> None:
    with pytest.raises(IllegalTransition, match="A succeeded job can not become paused") as caught:
        transition(JobState.SUCCEEDED, JobState.PAUSED)
    assert caught.value.hint == "It can become: running."


@pytest.mark.parametrize("state", sorted(ENDED_JOB))
def test_an_ended_job_only_runs_again(state: JobState) -> None:
    assert JOB_STEPS[state] == {JobState.RUNNING}


@pytest.mark.parametrize("state", sorted(ENDED_TASK))
def test_an_ended_task_only_waits_for_its_turn_again(state: TaskState) -> None:
    assert TASK_STEPS[state] - {TaskState.BLOCKED} == {TaskState.QUEUED}


def test_every_state_can_be_reached_and_every_open_one_can_end() -> None:
    assert set().union(*JOB_STEPS.values()) == set(JobState)
    assert set().union(*TASK_STEPS.values()) == set(TaskState)
    assert all(JobState.CANCELED in JOB_STEPS[state] for state in OPEN_JOB)
    assert all(TaskState.CANCELED in TASK_STEPS[state] for state in OPEN_TASK)


def test_every_worker_that_is_present_may_leave_or_be_lost_and_comes_back_as_it_was() -> None:
    assert set(WORKER_STEPS) == set(WorkerState)
    for state in PRESENT_WORKER:
        assert {WorkerState.GONE, WorkerState.LOST} <= WORKER_STEPS[state]
        assert state in WORKER_STEPS[WorkerState.GONE]
        assert state in WORKER_STEPS[WorkerState.LOST]


@pytest.mark.parametrize(("title", "steps"), [("Jobs", JOB_STEPS), ("Tasks", TASK_STEPS), ("Workers", WORKER_STEPS)])
def test_the_documented_states_are_those_of_the_table(title: str, steps: Mapping[str, frozenset[str]]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "states.md").read_text(encoding="utf-8")
    section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    documented = {name: frozenset(following.split(", ")) for name, _, following in rows[1:]}
    assert documented == {str(state): frozenset(map(str, following)) for state, following in steps.items()}
