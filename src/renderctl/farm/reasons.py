"""Why a job waits, in words."""

from collections import Counter
from collections.abc import Sequence

from renderctl.farm import Farm
from renderctl.jobs import Job, TaskCounts
from renderctl.states import ENDED_JOB, JobState, WorkerState
from renderctl.workers import Worker


def waiting_reason(farm: Farm, job: Job, counts: TaskCounts) -> str | None:
    """Why nothing of the job is being rendered, or no more of it; None: as much as can be, or nothing is left."""
    if job.state in ENDED_JOB:
        return None
    if counts.running:
        limited = job.max_slots is not None and counts.queued and _slots_of(farm, job) >= job.max_slots
        return f"its own slot limit of {job.max_slots} is reached" if limited else None
    if job.state is JobState.PAUSED:
        return "paused"
    if counts.blocked:
        waits = farm.repository.waits_for(job.id)
        named = ", ".join(f"job {each.id} ({each.name}), which is {each.state}" for each in waits)
        return f"waits for {named}" if waits else "its turn comes next"
    if not counts.queued:
        return None
    return _own_worker(farm, job) or _no_worker(farm, job) or _no_slot(farm, job)


def _slots_of(farm: Farm, job: Job) -> int:
    """How many slots work on the job."""
    return farm.repository.slots_of(job.id)


def _own_worker(farm: Farm, job: Job) -> str | None:
    """A job that `render` began is that one's while its heart beats."""
    own = next((each for each in farm.repository.serving(job.pool) if each.id == job.bound_to), None)
    return f"bound to `render` on host {own.host}" if own is not None else None


def _no_worker(farm: Farm, job: Job) -> str | None:
    """What keeps every worker of the pool from it; None: one takes work, and can render it."""
    there = _for_others(farm.repository.serving(job.pool))
    if not there:
        return f"no worker serves pool {job.pool}"
    able = [each for each in there if each.capabilities.lacks(job.requirements) is None]
    if not able:
        return _lacking(job, there)
    if any(each.state is WorkerState.ACTIVE for each in able):
        return None
    return _held(job, able, all_of_them=len(able) == len(there))


def _for_others(workers: Sequence[Worker]) -> list[Worker]:
    """A `render` works on its own job alone."""
    return [each for each in workers if not each.id.startswith("render-")]


def _lacking(job: Job, there: Sequence[Worker]) -> str:
    for requirement in job.requirements.each():
        lacks = [each.capabilities.lacks(requirement) for each in there]
        if all(lacks):
            return f"no worker of pool {job.pool} has {lacks[0]}"
    wanted = [*(f"the tag {tag}" for tag in job.requirements.tags), f"Blender {job.requirements.blender} or newer"]
    named = " and ".join(wanted if job.requirements.blender else wanted[:-1])
    return f"no worker of pool {job.pool} has all of {named}"


def _held(job: Job, able: Sequence[Worker], *, all_of_them: bool) -> str:
    which = f"every worker of pool {job.pool}" + ("" if all_of_them else " that could render it")
    states = Counter(each.state for each in able)
    if len(states) > 1:
        listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"{which} is held: {listed}"
    said = able[0].reason
    example = f"{said} (worker {able[0].id})" if said and len(able) > 1 else said
    return f"{which} is {able[0].state}" + (f": {example}" if example else "")


def _no_slot(farm: Farm, job: Job) -> str:
    retry_s = farm.repository.seconds_to_retry(job.id)
    if retry_s is not None:
        return f"tries again in {retry_s:.0f} s"
    there = _for_others(farm.repository.serving(job.pool))
    able = [
        each for each in there if each.state is WorkerState.ACTIVE and each.capabilities.lacks(job.requirements) is None
    ]
    busy = farm.repository.busy_slots(job.pool)
    slots = sum(each.slots for each in able)
    if slots and all(busy.get(each.id, 0) >= each.slots for each in able):
        return f"all {slots} slots busy"
    return "its turn comes next"
