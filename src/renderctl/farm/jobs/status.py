"""`status` and `jobs`: where things stand, and why a job waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from renderctl.core.actors import Actor
from renderctl.core.errors import DatabaseUnavailable, InvalidInput, did_you_mean
from renderctl.core.permissions import Subject, Verdict, verdict, visibility_of
from renderctl.core.states import ENDED_JOB, JobState
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job_at

if TYPE_CHECKING:
    from renderctl.core.job_status import JobRowStatus, JobStatus, TaskTotals
    from renderctl.core.jobs import Job, JobSummary, TaskCounts
    from renderctl.farm.jobs.waiting_reasons import PoolSnapshot

#: Seconds for which a copy in the cache is good as it is, and for which one of an ended job is kept: when it is older
#: than the first, it is compared with the job's row.
_FRESH_S, _ENDED_S = 2.0, 86_400.0


def status(farm: Farm, actor: Actor, ref: str, *, cached: bool = True) -> "JobStatus":
    """The job document (docs/reference): from the cache when it is there and fresh, else from the database.

    Of a job that has ended and whose row has not changed the cached document is used on; any other is replaced.
    """
    if cached and (document := _cached(farm, ref, younger_than_s=_FRESH_S)) and _may_see(actor, document):
        return document
    job, at = authorized_job_at(farm, actor, ref, "job.see")
    copy = _cached(farm, job.id)
    if cached and copy and job.state in ENDED_JOB and copy.items() >= _of_the_row(job).items():
        farm.cache.put(_key(job.id), copy, version=_version(at), ttl_s=_ENDED_S)
        return copy
    if copy:  # whatever its version: it is not what the database says
        farm.cache.forget(_key(job.id))
    return job_document(farm, job.id)


def _cached(farm: Farm, job_id: str, *, younger_than_s: float | None = None) -> "JobStatus | None":
    """The cache's copy of a document, which may be `{}`: see `invalidate`."""
    return cast("JobStatus | None", farm.cache.get(_key(job_id), younger_than_s=younger_than_s))


def _may_see(actor: Actor, document: "JobStatus") -> bool:
    job = Subject("job", document["id"], document["owner"], frozenset([document["project"]]))
    return verdict(actor, "job.see", job) is Verdict.ALLOWED


def job_document(farm: Farm, job_id: str) -> "JobStatus":
    """The document of a job, from the database; the cache gets a copy."""
    return _shown(farm, farm.repository.summaries.get(job_id), {})


def job_documents(farm: Farm, job_ids: Sequence[str]) -> "dict[str, JobStatus]":
    """The documents of those of the jobs that there are, as `job_document` has them."""
    floors: dict[str, PoolSnapshot] = {}
    return {summary.job.id: _shown(farm, summary, floors) for summary in farm.repository.summaries.by_ids(job_ids)}


def recent_document(farm: Farm, job_id: str) -> "JobStatus":
    """As `job_document`, or the cache's copy of two seconds ago: for who asks for one job again and again."""
    return _cached(farm, job_id, younger_than_s=_FRESH_S) or job_document(farm, job_id)


def invalidate(farm: Farm, job_id: str) -> None:
    """Something was done to the job: the next reader asks the database, and who has read it before comes too late."""
    farm.cache.forget(_key(job_id))
    try:
        farm.cache.put(_key(job_id), {}, version=_version(farm.repository.time()), ttl_s=_FRESH_S)
    except DatabaseUnavailable:
        return  # what was done is done; a copy that is put too late now is good for two seconds


def jobs(
    farm: Farm,
    actor: Actor,
    states: Sequence[str] = (),
    *,
    owner: str | None = None,
    project: str | None = None,
    before: str | None = None,
    search: str | None = None,
    model_id: str | None = None,
    limit: int = 50,
) -> "list[JobStatus]":
    """The documents of many jobs, the newest first; of those that are older than job `before`.

    `search`: a part of the names of the job or its model, or the beginning of its id. `model_id`: made of that model.
    Raises InvalidInput for a state that there is not.
    """
    for state in states:
        if state not in set(JobState):
            raise InvalidInput(f"Jobs are never {state!r}.", hint=did_you_mean(state, list(JobState)))
    visible = visibility_of(actor, "job.see")
    job_states = tuple(map(JobState, states))
    summaries = farm.repository.summaries.newest(
        job_states,
        owner=owner,
        project=project,
        before=before,
        search=search,
        model_id=model_id,
        limit=limit,
        visibility=visible,
    )
    floors: dict[str, PoolSnapshot] = {}
    return [_document(farm, summary, floors) for summary in summaries]


@dataclass(frozen=True)
class _Pace:
    progress: float  #: 0 to 1, running frames included
    eta_seconds: float | None


def _shown(farm: Farm, summary: "JobSummary", floors: "dict[str, PoolSnapshot]") -> "JobStatus":
    document = _document(farm, summary, floors)
    over = summary.job.state in ENDED_JOB and not summary.counts.running
    ttl_s = _ENDED_S if over else _FRESH_S
    farm.cache.put(_key(summary.job.id), document, version=_version(summary.at), ttl_s=ttl_s)
    return document


def _document(farm: Farm, summary: "JobSummary", floors: "dict[str, PoolSnapshot]") -> "JobStatus":
    from renderctl.farm.jobs.waiting_reasons import waiting_reason  # a cached status needs none

    pace = _pace(farm, summary)
    counts = summary.counts
    return {
        **_of_the_row(summary.job),
        "tasks": _totals(counts),
        "progress": round(pace.progress, 4),
        "eta_seconds": pace.eta_seconds,
        "waiting_reason": waiting_reason(farm, summary.job, counts, floors),
        "outputs": summary.outputs,
        "image": summary.image,
    }


def _totals(counts: "TaskCounts") -> "TaskTotals":
    return {
        "total": counts.total,
        "blocked": counts.blocked,
        "queued": counts.queued,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "canceled": counts.canceled,
    }


def _of_the_row(job: "Job") -> "JobRowStatus":
    """What stands in the job's own row: a copy that says otherwise is wrong."""
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
        "cameras": list(job.cameras),
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at) if job.started_at else None,
        "finished_at": _time(job.finished_at) if job.finished_at else None,
        "error": job.error,
        "notes": list(job.notes),
    }


def _pace(farm: Farm, summary: "JobSummary") -> _Pace:
    job, counts = summary.job, summary.counts
    running = _progress(farm, summary)
    done = counts.succeeded + sum(running)
    progress = done / counts.total if counts.total else 1.0
    if job.state is not JobState.RUNNING or summary.frame_seconds is None:
        return _Pace(progress, None)
    left = counts.queued + counts.blocked + len(running) - sum(running)
    return _Pace(progress, round(left * summary.frame_seconds / max(1, len(running)), 1))


def _progress(farm: Farm, summary: "JobSummary") -> list[float]:
    """How far the running frames are: the database knows it from the last heartbeat, the cache as of now."""
    live = farm.cache.get_many([f"attempt:{attempt_id}" for attempt_id in summary.running]) if summary.running else {}
    return [
        max(progress, live.get(f"attempt:{attempt_id}", {}).get("progress", 0.0))
        for attempt_id, progress in summary.running.items()
    ]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _key(job_id: str) -> str:
    return f"job:{job_id}"


def _version(at: datetime) -> int:
    """Copies are ordered by the database's clock: those of nodes may be hours apart."""
    return int(at.timestamp() * 1e6)
