"""Why a job waits, in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from renderctl.core.jobs import Job, TaskCounts
from renderctl.core.states import ENDED_JOB, JobState, WorkerState
from renderctl.core.workers import Worker
from renderctl.farm import Farm


@dataclass(frozen=True)
class PoolSnapshot:
    """The workers of one pool, whatever their state, and how many slots of each are at work."""

    workers: tuple[Worker, ...]
    busy: dict[str, int]

    @property
    def shared(self) -> tuple[Worker, ...]:
        """Without every `render`: that works on its own job alone."""
        return tuple(worker for worker in self.workers if not worker.id.startswith("render-"))

    def able(self, job: Job) -> tuple[Worker, ...]:
        """Those that have what a job requires."""
        return tuple(worker for worker in self.shared if worker.capabilities.lacks(job.requirements) is None)


def waiting_reason(farm: Farm, job: Job, counts: TaskCounts, floors: dict[str, PoolSnapshot]) -> str | None:
    """Why nothing of the job is being rendered, or no more of it; None: as much as can be, or nothing is left.

    What was looked up of a pool is kept in `floors`, for the next job.
    """
    if job.state in ENDED_JOB:
        return None
    if counts.running:
        limited = (
            job.max_slots is not None
            and counts.queued
            and farm.repository.workers.slots_on_job(job.id) >= job.max_slots
        )
        return f"its own slot limit of {job.max_slots} is reached" if limited else None
    if job.state is JobState.PAUSED:
        return f"paused: {job.pause_reason}" if job.pause_reason else "paused"
    if counts.blocked:
        waits = farm.repository.jobs.dependencies(job.id)
        named = ", ".join(f"job {other.id} ({other.name}), which is {other.state}" for other in waits)
        return f"waits for {named}" + _in_vain(waits) if waits else "its turn comes next"
    if not counts.queued:
        return None
    floor = _floor(farm, job, floors)
    return _own_worker(job, floor) or _no_worker(job, floor) or _no_slot(farm, job, floor)


def _in_vain(waits: Sequence[Job]) -> str:
    """What can be done where what it waits for has ended, and not as it was to."""
    ended = next((job for job in waits if job.state in ENDED_JOB), None)
    return f": it goes on when `renderctl retry {ended.id}` succeeds; else cancel it" if ended else ""


def nobody(farm: Farm, job: Job, floors: dict[str, PoolSnapshot]) -> str | None:
    """Why no worker that is there may take the job; None: one may, once it is free."""
    floor = _floor(farm, job, floors)
    return None if _own_worker(job, floor) else _no_worker(job, floor)


def _floor(farm: Farm, job: Job, floors: dict[str, PoolSnapshot]) -> PoolSnapshot:
    if job.pool not in floors:
        repository = farm.repository
        floors[job.pool] = PoolSnapshot(
            tuple(repository.workers.alive_in_pool(job.pool)), repository.workers.busy_slots(job.pool)
        )
    return floors[job.pool]


def _own_worker(job: Job, floor: PoolSnapshot) -> str | None:
    """A job that `render` began is that one's while its heart beats."""
    own = next((worker for worker in floor.workers if worker.id == job.bound_to), None)
    return f"bound to `render` on host {own.host}" if own is not None else None


def _no_worker(job: Job, floor: PoolSnapshot) -> str | None:
    """What keeps every worker of the pool from it; None: one takes work, and can render it."""
    if not floor.shared:
        return f"no worker serves pool {job.pool}"
    able = floor.able(job)
    if not able:
        return _lacking(job, floor.shared)
    if any(worker.state is WorkerState.ACTIVE for worker in able):
        return None
    return _held(job, able, all_of_them=len(able) == len(floor.shared))


def _lacking(job: Job, there: Sequence[Worker]) -> str:
    for requirement in job.requirements.split():
        lacks = [worker.capabilities.lacks(requirement) for worker in there]
        if all(lacks):
            return f"no worker of pool {job.pool} has {lacks[0]}"
    requirements = [
        *(f"the tag {tag}" for tag in job.requirements.tags),
        f"Blender {job.requirements.blender} or newer",
    ]
    named = " and ".join(requirements if job.requirements.blender else requirements[:-1])
    return f"no worker of pool {job.pool} has all of {named}"


def _held(job: Job, able: Sequence[Worker], *, all_of_them: bool) -> str:
    which = f"every worker of pool {job.pool}" + ("" if all_of_them else " that could render it")
    states = Counter(worker.state for worker in able)
    if len(states) > 1:
        listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"{which} is held: {listed}"
    reason = able[0].reason
    example = f"{reason} (worker {able[0].id})" if reason and len(able) > 1 else reason
    return f"{which} is {able[0].state}" + (f": {example}" if example else "")


def _no_slot(farm: Farm, job: Job, floor: PoolSnapshot) -> str:
    retry_s = farm.repository.tasks.seconds_to_retry(job.id)
    if retry_s is not None:
        return f"tries again in {retry_s:.0f} s"
    able = [worker for worker in floor.able(job) if worker.state is WorkerState.ACTIVE]
    if all(floor.busy.get(worker.id, 0) >= worker.slots for worker in able):
        return f"all {sum(worker.slots for worker in able)} slots busy"
    return "its turn comes next"
