"""Snapshots of all jobs, which the change feed compares."""

from dataclasses import dataclass

from renderctl.core.states import JobState


@dataclass(frozen=True)
class WatchSnapshot:
    """A snapshot of jobs, progress and new outputs, made without counting tasks. Its texts are only for comparison."""

    jobs: dict[str, str]  #: what a change changes in a job's row, by the job's id
    progress: dict[str, str]  #: how far each frame is that is being rendered, by the ids of the attempts
    outputs: list[int]  #: the numbers of new outputs, of all jobs, in their order


def job_state(row: str) -> JobState:
    """Return the state in a text of `WatchSnapshot.jobs`."""
    return JobState(row.split("|", 2)[1])
