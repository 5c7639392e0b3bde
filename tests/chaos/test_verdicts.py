"""The verdict on a round finds what it is there to find."""

from types import SimpleNamespace
from typing import Any

import pytest

from renderctl.core.states import JobState, TaskState
from tests.chaos.history import JobHistory, require_allowed
from tests.chaos.limits import require_limits_held
from tests.chaos.operators import Action


def attempt(number: int, start: float, end: float, slot: int = 0) -> Any:
    times = {"claimed_at": start, "started_at": start, "ended_at": end}
    return SimpleNamespace(number=number, worker_id="w1", incarnation="1", slot=slot, state="succeeded", **times)


def history(job_state: JobState, *states: TaskState, audits: list[Any] | None = None, **more: Any) -> JobHistory:
    attempts, unmet = more.pop("attempts", []), more.pop("unmet", [])
    facts = {"in_order": False, "max_slots": None, "max_attempts": 3, "requirements": None} | more
    row = SimpleNamespace(id="job", state=job_state, **facts)
    tasks = [SimpleNamespace(number=number, state=state, attempts=0, error=None) for number, state in enumerate(states)]
    return JobHistory(row, tasks, attempts, [], audits or [], unmet)


def audit(action: str, actor: str = "operator-0", tasks: int = 1) -> Any:
    return SimpleNamespace(action=action, actor=actor, details={"tasks": tasks})


def test_two_slots_at_work_at_the_same_time_are_more_than_one() -> None:
    attempts = [attempt(1, 0.0, 2.0), attempt(2, 1.0, 3.0, slot=1)]
    with pytest.raises(AssertionError):
        require_limits_held(history(JobState.SUCCEEDED, max_slots=1, attempts=attempts))


def test_slots_that_follow_each_other_keep_the_limit() -> None:
    attempts = [attempt(1, 0.0, 2.0), attempt(2, 2.0, 3.0, slot=1)]
    counts = require_limits_held(history(JobState.SUCCEEDED, max_slots=1, attempts=attempts))
    assert counts["jobs that kept their slot limit"] == 1


def test_a_frame_that_was_begun_before_an_earlier_one_is_out_of_order() -> None:
    attempts = [attempt(2, 0.0, 1.0), attempt(1, 1.0, 2.0)]
    with pytest.raises(AssertionError):
        require_limits_held(history(JobState.SUCCEEDED, in_order=True, attempts=attempts))


def test_a_job_that_was_canceled_last_may_not_succeed() -> None:
    done = history(JobState.SUCCEEDED, TaskState.SUCCEEDED, audits=[audit("job.cancel")])
    with pytest.raises(AssertionError):
        require_allowed({"job": done}, {})


def test_frames_may_stay_canceled_only_where_some_frames_alone_were_tried_again() -> None:
    audits = [audit("job.cancel", "operator-0"), audit("job.retry", "operator-1")]
    left = history(JobState.CANCELED, TaskState.SUCCEEDED, TaskState.CANCELED, audits=audits)
    some = {"operator-1": Action("retry --frames", "job", whole=False)}
    assert require_allowed({"job": left}, some)["jobs canceled"] == 1
    with pytest.raises(AssertionError):
        require_allowed({"job": left}, {"operator-1": Action("retry", "job")})


def test_a_retry_of_nothing_revives_no_job() -> None:
    audits = [audit("job.cancel", "operator-0"), audit("job.retry", "operator-1", tasks=0)]
    ended = history(JobState.CANCELED, TaskState.SUCCEEDED, audits=audits)
    assert require_allowed({"job": ended}, {"operator-1": Action("retry", "job")})["jobs canceled"] == 1


def test_a_frame_that_failed_before_its_attempts_were_used_up_is_no_end() -> None:
    failed = history(JobState.FAILED, TaskState.FAILED)
    with pytest.raises(AssertionError):
        require_allowed({"job": failed}, {})


def test_a_job_waits_in_vain_for_one_that_was_canceled_and_for_none_that_runs() -> None:
    waiting = history(JobState.QUEUED, TaskState.BLOCKED, unmet=["other"])
    canceled = history(JobState.CANCELED, TaskState.CANCELED, audits=[audit("job.cancel")])
    assert waiting.waits({"job": waiting, "other": canceled})
    assert not waiting.waits({"job": waiting, "other": history(JobState.RUNNING, TaskState.QUEUED)})
