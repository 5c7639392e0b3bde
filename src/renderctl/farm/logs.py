"""`logs`: what Blender printed, attempt by attempt; followed while it prints."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from renderctl.actors import Actor
from renderctl.errors import NotFound, StoreUnavailable
from renderctl.farm import Farm
from renderctl.farm.gate import the_job
from renderctl.jobs import Attempt, Job
from renderctl.patience import Patience
from renderctl.states import ENDED_JOB, OPEN_ATTEMPT, AttemptState

logger = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class LogPart:
    """A piece of the log of one attempt."""

    attempt: Attempt
    text: str


def logs(farm: Farm, job_ref: str, task: str | None = None, *, actor: Actor) -> list[LogPart]:
    """The log that tells most: of the given task its every attempt, else of what runs, else of what failed last."""
    job = the_job(farm, job_ref, "job.logs", actor=actor)
    attempts = _chosen(farm, job, task)
    if not attempts:
        raise NotFound(f"Job {job.id} has no log yet.", hint="Nothing of it has started.")
    return [LogPart(attempt, whole_log(farm, attempt)) for attempt in attempts]


def follow(
    farm: Farm, job_ref: str, task: str | None = None, *, stop: threading.Event, actor: Actor
) -> Iterator[LogPart]:
    """The logs of a job's attempts as they grow, until the job has ended or `stop` is set.

    What goes away meanwhile, the database or the store, is waited for.
    """
    follower, patience = log_follower(farm, job_ref, task, actor=actor), Patience(farm.clock)
    while True:
        with patience.bearing():
            yield from follower.news()
        if follower.over or farm.clock.wait(stop, LOOK_EVERY_S):
            return


def log_follower(farm: Farm, job_ref: str, task: str | None = None, *, actor: Actor) -> "LogFollower":
    """As `follow`, for whoever waits between two looks himself. Raises NotFound."""
    return LogFollower(farm, the_job(farm, job_ref, "job.logs", actor=actor), task)


class LogFollower:
    """How far the logs of a job were read."""

    def __init__(self, farm: Farm, job: Job, task: str | None) -> None:
        self.over = False  #: the job has ended, and all was read
        self._farm = farm
        self._job = job
        self._task = task
        self._readers: dict[str, _Reader] = {}

    def news(self) -> list[LogPart]:
        """What was printed since the last look."""
        over = self._farm.repository.job(self._job.id).state in ENDED_JOB
        found: list[LogPart] = []
        for attempt in _followed(self._farm, self._job, self._task):
            reader = self._readers.setdefault(attempt.id, _Reader(self._farm))
            try:
                text = reader.news(attempt)
            except StoreUnavailable:
                if not found:
                    raise
                return found  # what was read is told; the next look meets the rest
            if text:
                found.append(LogPart(attempt, text.decode("utf-8", "replace")))
        self.over = over
        return found


class _Reader:
    """How far a follower has read the log of one attempt."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._known = 0
        self._look_at = 0.0  # when the store is looked at, for want of anything newer
        self._done = False  # the attempt has ended, and all of it was read

    def news(self, attempt: Attempt) -> bytes:
        """What was not read yet."""
        if self._done or attempt.state is AttemptState.CLAIMED:
            return b""
        if attempt.state in OPEN_ATTEMPT:
            return self._live(attempt)
        text = kept_log(self._farm, attempt)[self._known :]
        self._done = True  # not before: who follows may bear with a store that is away
        return text

    def _live(self, attempt: Attempt) -> bytes:
        """From the cache; what it has lost, and everything while it is away, from the store, a heartbeat late."""
        live, end = self._farm.cache.tail(f"log:{attempt.id}", self._known)
        now = self._farm.clock.monotonic()
        if end - len(live) > self._known or (not live and now >= self._look_at):
            kept = _stored(self._farm, attempt)
            text, end = _since(self._known, kept, live, end), max(end, len(kept))
        else:
            text = live
        if text or now >= self._look_at:
            self._look_at = now + self._farm.settings.worker.heartbeat
        self._known = max(self._known, end)
        return text


def _since(known: int, kept: bytes, live: bytes, end: int) -> bytes:
    """A log from byte `known` on: the store's part, and after it the cache's, which ends at byte `end`.

    Between them may be what neither has.
    """
    if end <= len(kept):
        return kept[known:]
    begin = end - len(live)
    return kept[known:begin] + live[max(0, known - begin) :]


def kept_log(farm: Farm, attempt: Attempt) -> bytes:
    """What the store has of an attempt's log; short frames have theirs together. Raises StoreUnavailable."""
    if attempt.log is None:
        return farm.store.get_log(attempt.id) or b""
    together, start, end = attempt.log.split(":")
    return (farm.store.get_log(together) or b"")[int(start) : int(end)]


def _stored(farm: Farm, attempt: Attempt) -> bytes:
    """What the store has of a log that grows; nothing while the store is away."""
    try:
        return kept_log(farm, attempt)
    except StoreUnavailable as error:
        logger.debug("the log of %s is out of reach: %s", attempt.id, error)
        return b""


def _followed(farm: Farm, job: Job, task: str | None) -> list[Attempt]:
    return farm.repository.attempts(job.id, task_number(farm, job, task) if task else None)[-50:]


def _chosen(farm: Farm, job: Job, task: str | None) -> list[Attempt]:
    if task is not None:
        return farm.repository.attempts(job.id, task_number(farm, job, task))
    attempts = farm.repository.attempts(job.id)
    for states in ((AttemptState.RUNNING,), (AttemptState.FAILED, AttemptState.LOST), tuple(AttemptState)):
        found = [attempt for attempt in attempts if attempt.state in states]
        if found:
            return found[-1:]
    return []


def whole_log(farm: Farm, attempt: Attempt) -> str:
    """All that there is of an attempt's log at this moment. Raises StoreUnavailable."""
    kept = kept_log(farm, attempt)
    if attempt.state in OPEN_ATTEMPT:
        kept = _since(0, kept, *farm.cache.tail(f"log:{attempt.id}", 0))
    return kept.decode("utf-8", "replace")


def task_number(farm: Farm, job: Job, task: str) -> int:
    """A task by its id (`JOB-7`) or its number in the job. Raises NotFound."""
    digits = task.removeprefix(f"{job.id}-")
    if not digits.isdecimal() or not 1 <= int(digits) <= farm.repository.counts(job.id).total:
        raise NotFound(f"Job {job.id} has no task {task!r}.", hint="Tasks are numbered from 1; `status` counts them.")
    return int(digits)
