"""`logs`: what Blender printed, attempt by attempt; followed while it prints. A log is never in memory as a whole."""

import codecs
import threading
from collections.abc import Iterator, Sequence

from renderctl.core.actors import Actor
from renderctl.core.errors import NotFound
from renderctl.core.jobs import Attempt, Job
from renderctl.core.outages import OutageGrace
from renderctl.core.states import AttemptState
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.attempt_logs import PIECE, LogPart, read_log
from renderctl.farm.jobs.log_follower import LogFollower

#: Seconds between two looks.
LOOK_EVERY_S = 0.5


def logs(farm: Farm, actor: Actor, job_ref: str, task: str | None = None) -> Iterator[LogPart]:
    """The log that tells most: of the given task its every attempt, else of what runs, else of what failed last.

    Piece by piece: a long log is several parts. Raises NotFound, StoreUnavailable.
    """
    job = authorized_job(farm, actor, job_ref, "job.logs")
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
    farm: Farm, actor: Actor, job_ref: str, task: str | None = None, *, stop: threading.Event
) -> Iterator[LogPart]:
    """The logs of a job's attempts as they grow, until the job has ended or `stop` is set.

    What goes away meanwhile, the database or the store, is waited for.
    """
    follower, patience = log_follower(farm, actor, job_ref, task), OutageGrace(farm.clock)
    while True:
        with patience.tolerate():
            yield from follower.news()
        if follower.over or (not follower.has_more and farm.clock.wait(stop, LOOK_EVERY_S)):
            return


def log_follower(farm: Farm, actor: Actor, job_ref: str, task: str | None = None) -> LogFollower:
    """As `follow`, for whoever waits between two looks. Raises NotFound."""
    job = authorized_job(farm, actor, job_ref, "job.logs")
    return LogFollower(farm, job.id, task_number(farm, job, task) if task else None)


def _chosen(farm: Farm, job: Job, task: str | None) -> list[Attempt]:
    if task is not None:
        return farm.repository.attempts.of_job(job.id, task_number(farm, job, task))
    for states in ((AttemptState.RUNNING,), (AttemptState.FAILED, AttemptState.LOST), ()):
        if newest := farm.repository.change_feed.newest_attempt(job.id, states):
            return [newest]
    return []


def task_number(farm: Farm, job: Job, task: str) -> int:
    """A task by its id (`JOB-7`) or its number in the job. Raises NotFound."""
    digits = task.removeprefix(f"{job.id}-")
    if not digits.isdecimal() or not 1 <= int(digits) <= farm.repository.tasks.counts(job.id).total:
        raise NotFound(f"Job {job.id} has no task {task!r}.", hint="Tasks are numbered from 1; `status` counts them.")
    return int(digits)
