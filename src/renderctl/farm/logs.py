"""`logs`: what Blender printed, attempt by attempt; followed while it prints. A log is never in memory as a whole."""

import codecs
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from renderctl.actors import Actor
from renderctl.errors import NotFound, StoreUnavailable
from renderctl.farm import Farm
from renderctl.farm.attempt_logs import PIECE, kept_log, read_log
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


def logs(farm: Farm, job_ref: str, task: str | None = None, *, actor: Actor) -> Iterator[LogPart]:
    """The log that tells most: of the given task its every attempt, else of what runs, else of what failed last.

    Piece by piece: a long log is several parts. Raises NotFound, StoreUnavailable.
    """
    job = the_job(farm, job_ref, "job.logs", actor=actor)
    attempts = _chosen(farm, job, task)
    if not attempts:
        raise NotFound(f"Job {job.id} has no log yet.", hint="Nothing of it has started.")
    return _parts(farm, attempts)


def _parts(farm: Farm, attempts: Sequence[Attempt]) -> Iterator[LogPart]:
    for attempt in attempts:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        waiting = b""
        for piece in read_log(farm, attempt):
            if waiting and len(waiting) + len(piece) > PIECE:
                yield LogPart(attempt, decoder.decode(waiting))
                waiting = b""
            waiting += piece
        yield LogPart(attempt, decoder.decode(waiting, final=True))  # one that is empty is told of, too


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
        if follower.over or (not follower.has_more and farm.clock.wait(stop, LOOK_EVERY_S)):
            return


def log_follower(farm: Farm, job_ref: str, task: str | None = None, *, actor: Actor) -> "LogFollower":
    """As `follow`, for whoever waits between two looks himself. Raises NotFound."""
    return LogFollower(farm, the_job(farm, job_ref, "job.logs", actor=actor), task)


class LogFollower:
    """How far the logs of a job were read."""

    def __init__(self, farm: Farm, job: Job, task: str | None) -> None:
        self.over = False  #: the job has ended, and all was read
        self.has_more = False  #: there is more to be read at once
        self._farm = farm
        self._job = job
        self._task = task
        self._readers: dict[str, _Reader] = {}

    def news(self) -> list[LogPart]:
        """What was printed since the last look, or the next piece of it."""
        over = self._farm.repository.job(self._job.id).state in ENDED_JOB
        parts: list[LogPart] = []
        self.has_more = False
        for attempt in _followed(self._farm, self._job, self._task):
            reader = self._readers.setdefault(attempt.id, _Reader(self._farm))
            try:
                text = reader.news(attempt)
            except StoreUnavailable:
                if not parts:
                    raise
                return parts  # what was read is told; the next look meets the rest
            if text:
                parts.append(LogPart(attempt, text))
            if reader.has_more:  # of one after the other, or the pieces of many would come to much
                self.has_more = True
                return parts
        self.over = over
        return parts


class _Reader:
    """How far a follower has read the log of one attempt."""

    def __init__(self, farm: Farm) -> None:
        self.has_more = False
        self._farm = farm
        self._known = 0
        self._look_at = 0.0  # when the store is looked at, for want of anything newer
        self._done = False  # the attempt has ended, and all of it was read
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def news(self, attempt: Attempt) -> str:
        """What was not read yet, or the next piece of it."""
        if self._done or attempt.state is AttemptState.CLAIMED:
            return ""
        if attempt.state in OPEN_ATTEMPT:
            return self._decoder.decode(self._live(attempt))
        text = b"".join(kept_log(self._farm, attempt, self._known, self._known + PIECE))
        self._known += len(text)
        self.has_more = len(text) == PIECE
        self._done = not self.has_more  # not before: who follows may bear with a store that is away
        return self._decoder.decode(text, final=self._done)

    def _live(self, attempt: Attempt) -> bytes:
        """From the cache; what it has lost, and everything while it is away, from the store, a heartbeat late."""
        live, end = self._farm.cache.tail(f"log:{attempt.id}", self._known)
        begin, now = end - len(live), self._farm.clock.monotonic()
        text = live
        if begin > self._known or (not live and now >= self._look_at):
            upto = min(begin, self._known + PIECE) if live else self._known + PIECE
            text = _stored(self._farm, attempt, self._known, upto)
            self.has_more = len(text) == PIECE
            if live and not self.has_more:  # between the two may be what neither has
                text += live
            else:
                end = self._known + len(text)
        else:
            self.has_more = False
        if text or now >= self._look_at:
            self._look_at = now + self._farm.settings.worker.heartbeat
        self._known = max(self._known, end)
        return text


def _stored(farm: Farm, attempt: Attempt, start: int, end: int) -> bytes:
    """What the store has of a part of a log that grows; nothing while the store is away."""
    try:
        return b"".join(kept_log(farm, attempt, start, end))
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


def task_number(farm: Farm, job: Job, task: str) -> int:
    """A task by its id (`JOB-7`) or its number in the job. Raises NotFound."""
    digits = task.removeprefix(f"{job.id}-")
    if not digits.isdecimal() or not 1 <= int(digits) <= farm.repository.counts(job.id).total:
        raise NotFound(f"Job {job.id} has no task {task!r}.", hint="Tasks are numbered from 1; `status` counts them.")
    return int(digits)
