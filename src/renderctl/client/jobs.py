"""Jobs, over HTTP."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import field_of, fields, job_id, job_status, typed
from renderctl.client.sse import events
from renderctl.client.uploads import upload_files
from renderctl.core.errors import GaveUpWaiting
from renderctl.core.outages import OutageGrace
from renderctl.core.states import ENDED_JOB

#: Seconds until an answer begins to what may change millions of tasks. Whoever gave up before would see no job, or none
#: canceled, and find it later.
_BULK_S = 600.0

if TYPE_CHECKING:
    from typing import TypedDict

    from renderctl.core.job_status import JobStatus
    from renderctl.core.jobs import RemovedJob
    from renderctl.core.models import Model
    from renderctl.farm.jobs.submit import SubmitRequest

    class _JobPage(TypedDict):
        jobs: list[JobStatus]
        next: str | None


@dataclass(frozen=True)
class JobRef:
    """A job that the server knows."""

    id: str


@dataclass(frozen=True)
class SubmittedRef:
    job: JobRef
    new: bool
    notes: tuple[str, ...]


def status(server: ServerConnection, ref: str, *, cached: bool = True) -> "JobStatus":
    """The job document."""
    return job_status(server.api.get(f"/jobs/{quoted(ref)}", cached=cached))


def jobs(
    server: ServerConnection,
    states: Sequence[str] = (),
    *,
    owner: str | None = None,
    project: str | None = None,
    before: str | None = None,
    search: str | None = None,
    model_id: str | None = None,
    limit: int = 50,
) -> "list[JobStatus]":
    """The documents of many jobs, the newest first, asked for page by page; of those that are older than `before`."""
    found: list[JobStatus] = []
    asked = {"state": list(states) or None, "owner": owner, "project": project, "search": search, "model": model_id}
    while len(found) < limit:
        answer = server.api.get("/jobs", **asked, before=before, limit=min(1000, limit - len(found)))
        page = cast("_JobPage", answer)
        found += page["jobs"]
        before = page["next"]
        if before is None or not page["jobs"]:
            break
    return found


def submit(server: ServerConnection, model: "Model", request: "SubmitRequest") -> SubmittedRef:
    """Queue a job of a model; files that replace objects are sent first."""
    from renderctl.farm.models.replacements import hashed_inputs, replacing_files

    options, inputs = request.options, list[object]()
    if request.replacements:
        sources, replacements = replacing_files(server.local_farm, request.replacements, request.on_outside)
        files = hashed_inputs(server.local_farm, sources)
        upload_files(server, files, project=request.project)
        inputs = [asdict(file) for file in files.values()]
        options = replace(options, replacements=replacements)
    body = {
        "model": model.id,
        "options": options.as_document(),
        "inputs": inputs,
        "frames": request.frames,
        "animation": request.animation,
        "cameras": request.cameras,
        "name": request.name,
        "project": request.project,
        "pool": request.pool,
        "priority": request.priority,
        "max_slots": request.max_slots,
        "max_attempts": request.max_attempts,
        "frame_timeout_s": request.frame_timeout_s,
        "after": request.after,
        "after_any": request.after_any,
        "requires": request.requires,
        "paused": request.paused,
    }
    key = {"Idempotency-Key": request.idempotency_key} if request.idempotency_key is not None else {}
    done = fields(server.api.ask("POST", "/jobs", {}, body, headers=key, patience_s=_BULK_S))
    job = JobRef(job_id(done.get("job")))
    return SubmittedRef(job, field_of(done, "new", bool), tuple(map(str, field_of(done, "notes", list))))


def cancel(server: ServerConnection, job_ref: str) -> JobRef:
    """Stop a job."""
    return _steered(server, job_ref, "cancel")


def pause(server: ServerConnection, job_ref: str) -> JobRef:
    """Let running frames finish and start no more."""
    return _steered(server, job_ref, "pause")


def resume(server: ServerConnection, job_ref: str) -> JobRef:
    """Go on with a paused job."""
    return _steered(server, job_ref, "resume")


def priority(server: ServerConnection, job_ref: str, value: int) -> JobRef:
    """Change a job's priority."""
    return JobRef(job_id(server.api.put(f"/jobs/{quoted(job_ref)}/priority", {"priority": value})))


def retry(server: ServerConnection, job_ref: str, frames: str | None = None) -> tuple[JobRef, int]:
    """Render again."""
    done = fields(server.api.post(f"/jobs/{quoted(job_ref)}/retry", {"frames": frames}, patience_s=_BULK_S))
    return JobRef(job_id(done.get("job"))), field_of(done, "tasks", int)


def select_jobs(server: ServerConnection, *, older_than: timedelta, states: Sequence[str] = ()) -> list[str]:
    """Jobs that may be removed."""
    seconds = older_than.total_seconds()
    return typed(list[str], server.api.get("/jobs/removable", older_than_s=seconds, state=list(states) or None))


def remove_jobs(
    server: ServerConnection, refs: Sequence[str], *, force: bool = False, dry_run: bool = False
) -> "list[RemovedJob]":
    """Remove ended jobs."""
    from renderctl.core.jobs import RemovedJob

    body = {"jobs": list(refs), "force": force, "dry_run": dry_run}
    return typed(list[RemovedJob], server.api.post("/jobs/remove", body, patience_s=_BULK_S))


def watch(
    server: ServerConnection, job_ref: str, *, stop: threading.Event, timeout_s: float | None = None
) -> "Iterator[JobStatus]":
    """The job's document whenever it has changed, until it has ended. Raises GaveUpWaiting."""
    clock, patience = server.local_farm.clock, OutageGrace(server.local_farm.clock)
    until = None if timeout_s is None else clock.monotonic() + timeout_s
    last = status(server, job_ref, cached=False)
    yield last
    for event in events(server.api, "/events", {"job": last["id"]}, clock, until):
        if _is_over(last) or stop.is_set():
            return
        if event is None:
            raise GaveUpWaiting(f"Job {last['id']} was still {last['state']} after {timeout_s:g} s; it goes on.")
        kind, document = event
        current = last
        if kind == "job":
            current = job_status(document)
        elif kind == "lost":
            with patience.tolerate():
                current = status(server, last["id"], cached=False)
        if current != last:
            last = current
            yield last
        if _is_over(last):
            return


def _is_over(document: "JobStatus") -> bool:
    return document["state"] in ENDED_JOB and not document["tasks"]["running"]


def _steered(server: ServerConnection, ref: str, verb: str) -> JobRef:
    return JobRef(job_id(server.api.post(f"/jobs/{quoted(ref)}/{verb}", patience_s=_BULK_S)))
