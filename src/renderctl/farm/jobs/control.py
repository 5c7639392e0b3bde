"""`cancel`, `pause`, `resume`, `retry` and `priority`: people steering jobs."""

from collections.abc import Callable
from functools import partial

from renderctl.core.actors import Actor
from renderctl.core.errors import InvalidInput
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Job
from renderctl.core.states import CLAIMABLE_JOB
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.status import invalidate
from renderctl.farm.jobs.tickets import enqueue_ticket
from renderctl.farm.people.quotas import quotas_for


def cancel(farm: Farm, actor: Actor, job_ref: str) -> Job:
    """Stop a job: queued tasks never start, running ones are told to stop, finished frames are kept."""
    return _done(farm, authorized_job(farm, actor, job_ref, "job.cancel"), farm.repository.jobs.cancel, actor)


def pause(farm: Farm, actor: Actor, job_ref: str) -> Job:
    """Let running frames finish and start no more."""
    return _done(farm, authorized_job(farm, actor, job_ref, "job.pause"), farm.repository.jobs.pause, actor)


def resume(farm: Farm, actor: Actor, job_ref: str) -> Job:
    """Go on with a paused job, on any worker of its pool."""
    job = _done(farm, authorized_job(farm, actor, job_ref, "job.resume"), farm.repository.jobs.resume, actor)
    enqueue_ticket(farm, job)
    return job


def priority(farm: Farm, actor: Actor, job_ref: str, value: int) -> Job:
    """Change the priority (0 to 10, 10 first), from the job's next turn on. Raises InvalidInput."""
    if not 0 <= value <= 10:
        raise InvalidInput(f"A priority of {value} is not possible.", hint="It must be 0 to 10; 10 is served first.")
    before = authorized_job(farm, actor, job_ref, "job.priority")
    job = _done(farm, before, partial(farm.repository.jobs.set_priority, priority=value), actor)
    if value > before.priority and job.state in CLAIMABLE_JOB and job.bound_to is None:
        enqueue_ticket(farm, job)  # the one that waits already keeps the place of its old priority
    return job


def retry(farm: Farm, actor: Actor, job_ref: str, frames: str | None = None) -> tuple[Job, int]:
    """Render again: the given frames whatever became of them, else all that failed or were canceled.

    Returns the job and how many tasks were queued. Raises BadFrames, InvalidInput when it has none of the frames,
    QuotaExceeded.
    """
    frame_set = FrameSet.parse_request(frames) if frames is not None else None
    job = authorized_job(farm, actor, job_ref, "job.retry")
    job, count = farm.repository.jobs.retry(job.id, actor=actor, frames=frame_set, quotas=quotas_for(farm, actor))
    invalidate(farm, job.id)
    if frame_set is not None and not count:
        raise InvalidInput(
            f"Job {job.id} has no frames {frame_set} to render again.", hint=f"Its frames: {job.frames}."
        )
    if count:
        enqueue_ticket(farm, job)
    return job, count


def _done(farm: Farm, job: Job, deed: Callable[..., Job], actor: Actor) -> Job:
    job = deed(job.id, actor=actor)
    invalidate(farm, job.id)
    return job
