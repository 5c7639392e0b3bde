"""`status` and `jobs`: where things stand, and why a job waits."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from renderctl.errors import InvalidInput, did_you_mean
from renderctl.farm import Farm
from renderctl.states import ENDED_JOB, JobState

if TYPE_CHECKING:
    from renderctl.jobs import Job, TaskCounts

#: Seconds for which a summary in the cache is good; an ended job's is good until something is done to it.
_FRESH_S, _ENDED_S = 2.0, 86_400.0


def status(farm: Farm, ref: str, *, cached: bool = True) -> dict[str, Any]:
    """The job document (docs/reference): from the cache when it is there and fresh, else from the database."""
    if cached and (document := farm.cache.get(_key(ref))):
        return document
    return job_document(farm, farm.repository.find_job(ref))


def job_document(farm: Farm, job: "Job", counts: "TaskCounts | None" = None) -> dict[str, Any]:
    """The document of a job, from the database; the cache gets a copy."""
    counted = counts or farm.repository.counts(job.id)
    document = _document(farm, job, counted)
    ttl_s = _ENDED_S if job.state in ENDED_JOB and not counted.running else _FRESH_S
    farm.cache.put(_key(job.id), document, version=_version(farm), ttl_s=ttl_s)
    return document


def forget(farm: Farm, job_id: str) -> None:
    """Something was done to the job: the next reader asks the database."""
    farm.cache.forget(_key(job_id))


def jobs(
    farm: Farm, states: Sequence[str] = (), *, owner: str | None = None, project: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The documents of many jobs, the newest first. Raises InvalidInput for a state that there is not."""
    for state in states:
        if state not in set(JobState):
            raise InvalidInput(f"Jobs are never {state!r}.", hint=did_you_mean(state, list(JobState)))
    found = farm.repository.jobs(tuple(map(JobState, states)), owner=owner, project=project, limit=limit)
    return [job_document(farm, job, counts) for job, counts in found]


@dataclass(frozen=True)
class _Pace:
    progress: float  #: 0 to 1, running frames included
    eta_seconds: float | None


def _document(farm: Farm, job: "Job", counts: "TaskCounts") -> dict[str, Any]:
    pace = _pace(farm, job, counts)
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state.value,
        "model": job.model,
        "project": job.project,
        "owner": job.owner,
        "pool": job.pool,
        "priority": job.priority,
        "frames": job.frames,
        "tasks": {"total": counts.total, **asdict(counts)},
        "progress": round(pace.progress, 4),
        "eta_seconds": pace.eta_seconds,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "error": job.error,
        "waiting_reason": waiting_reason(farm, job, counts),
        "outputs": farm.repository.count_outputs(job.id),
        "notes": list(job.notes),
    }


def _pace(farm: Farm, job: "Job", counts: "TaskCounts") -> _Pace:
    running = [each.progress for each in farm.repository.running_attempts(job.id)] if counts.running else []
    done = counts.succeeded + sum(running)
    progress = done / counts.total if counts.total else 1.0
    seconds = farm.repository.frame_seconds(job.id) if running else None
    if job.state is not JobState.RUNNING or seconds is None:
        return _Pace(progress, None)
    left = counts.queued + counts.blocked + len(running) - sum(running)
    return _Pace(progress, round(left * seconds / max(1, len(running)), 1))


def waiting_reason(farm: Farm, job: "Job", counts: "TaskCounts") -> str | None:
    """Why nothing of the job is being rendered, in words; None: something is, or nothing has to be."""
    if job.state in ENDED_JOB or counts.running:
        return None
    if job.state is JobState.PAUSED:
        return "paused"
    if counts.blocked:
        waits = farm.repository.waits_for(job.id)
        return "waits for " + ", ".join(f"job {each.id} ({each.name}), which is {each.state}" for each in waits)
    if not counts.queued:
        return None
    slots = farm.repository.serving_slots(job.pool)
    if not slots:
        return f"no worker serves pool {job.pool}"
    retry_s = farm.repository.seconds_to_retry(job.id)
    if retry_s is not None:
        return f"tries again in {retry_s:.0f} s"
    busy = farm.repository.busy_slots(job.pool)
    return f"all {slots} slots busy" if busy >= slots else "its turn comes next"


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _key(job_id: str) -> str:
    return f"job:{job_id}"


def _version(farm: Farm) -> int:
    return int(farm.clock.now().timestamp() * 1e6)
