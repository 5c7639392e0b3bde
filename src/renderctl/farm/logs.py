"""`logs`: what Blender printed, attempt by attempt; followed while it prints."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from renderctl.errors import NotFound
from renderctl.farm import Farm
from renderctl.jobs import Attempt, Job
from renderctl.states import ENDED_JOB, OPEN_ATTEMPT, AttemptState

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class LogPart:
    """A piece of the log of one attempt."""

    attempt: Attempt
    text: str


def logs(farm: Farm, job_ref: str, task: str | None = None) -> list[LogPart]:
    """The log that tells most: of the given task its every attempt, else of what runs, else of what failed last."""
    job = farm.repository.find_job(job_ref)
    attempts = _chosen(farm, job, task)
    if not attempts:
        raise NotFound(f"Job {job.id} has no log yet.", hint="Nothing of it has started.")
    return [LogPart(attempt, _whole(farm, attempt)) for attempt in attempts]


def follow(farm: Farm, job_ref: str, task: str | None = None, *, stop: threading.Event) -> Iterator[LogPart]:
    """The logs of a job's attempts as they grow, until the job has ended or `stop` is set."""
    job = farm.repository.find_job(job_ref)
    offsets: dict[str, int] = {}
    ended: set[str] = set()
    while True:
        over = farm.repository.job(job.id).state in ENDED_JOB
        for attempt in _followed(farm, job, task):
            if attempt.id not in ended and attempt.state is not AttemptState.CLAIMED:
                yield from _news(farm, attempt, offsets)
                if attempt.state not in OPEN_ATTEMPT:
                    ended.add(attempt.id)
        if over or farm.clock.wait(stop, _LOOK_EVERY_S):
            return


def _followed(farm: Farm, job: Job, task: str | None) -> list[Attempt]:
    return farm.repository.attempts(job.id, task_number(farm, job, task) if task else None)[-50:]


def _news(farm: Farm, attempt: Attempt, offsets: dict[str, int]) -> Iterator[LogPart]:
    known = offsets.get(attempt.id, 0)
    if attempt.state in OPEN_ATTEMPT:
        text, offsets[attempt.id] = farm.cache.tail(f"log:{attempt.id}", known)
    else:
        text = (farm.store.get_log(attempt.id) or b"")[known:]
        offsets[attempt.id] = known + len(text)
    if text:
        yield LogPart(attempt, text.decode("utf-8", "replace"))


def _chosen(farm: Farm, job: Job, task: str | None) -> list[Attempt]:
    if task is not None:
        return farm.repository.attempts(job.id, task_number(farm, job, task))
    attempts = farm.repository.attempts(job.id)
    for states in ((AttemptState.RUNNING,), (AttemptState.FAILED, AttemptState.LOST), tuple(AttemptState)):
        found = [attempt for attempt in attempts if attempt.state in states]
        if found:
            return found[-1:]
    return []


def _whole(farm: Farm, attempt: Attempt) -> str:
    kept = farm.store.get_log(attempt.id) or b""
    if attempt.state in OPEN_ATTEMPT:
        live, _ = farm.cache.tail(f"log:{attempt.id}", 0)
        kept = max(kept, live, key=len)
    return kept.decode("utf-8", "replace")


def task_number(farm: Farm, job: Job, task: str) -> int:
    """A task by its id (`JOB-7`) or its number in the job. Raises NotFound."""
    digits = task.removeprefix(f"{job.id}-")
    if not digits.isdecimal() or not 1 <= int(digits) <= farm.repository.counts(job.id).total:
        raise NotFound(f"Job {job.id} has no task {task!r}.", hint="Tasks are numbered from 1; `status` counts them.")
    return int(digits)
