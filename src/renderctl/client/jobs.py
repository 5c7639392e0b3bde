"""Jobs, over HTTP."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import job_id, typed
from renderctl.client.sse import events
from renderctl.client.uploads import upload_files
from renderctl.core.errors import GaveUpWaiting
from renderctl.core.outages import OutageGrace
from renderctl.core.states import ENDED_JOB

#: Seconds until an answer begins to what may change millions of tasks. Whoever gave up before would see no job, or none
#: canceled, and find it later.
_BULK_S = 600.0

if TYPE_CHECKING:
    from renderctl.core.models import Model
    from renderctl.farm.jobs.submit import SubmitRequest
    from renderctl.repository.jobs.deletion import Removed


@dataclass(frozen=True)
class JobRef:
    """A job that the server knows."""

    id: str


@dataclass(frozen=True)
class SubmittedRef:
    job: JobRef
    new: bool
    notes: tuple[str, ...]


def status(server: ServerConnection, ref: str, *, cached: bool = True) -> dict[str, Any]:
    """The job document."""
    document: dict[str, Any] = server.api.get(f"/jobs/{quoted(ref)}", cached=cached)
    job_id(document)
    return document


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
) -> list[dict[str, Any]]:
    """The documents of many jobs, the newest first, asked for page by page; of those that are older than `before`."""
    found: list[dict[str, Any]] = []
    asked = {"state": list(states) or None, "owner": owner, "project": project, "search": search, "model": model_id}
    while len(found) < limit:
        page = server.api.get("/jobs", **asked, before=before, limit=min(1000, limit - len(found)))
        found += page["jobs"]
        before = page["next"]
        if before is None or not page["jobs"]:
            break
    return found


def submit(server: ServerConnection, model: "Model", request: "SubmitRequest") -> SubmittedRef:
    """Queue a job of a model; files that replace objects are sent first."""
    from renderctl.farm.models.replacements import hashed_inputs, replacing_files

    options = request.options.as_document()
    inputs: list[dict[str, Any]] = []
    if request.replacements:
        sources, replacements = replacing_files(server.local_farm, request.replacements, request.on_outside)
        files = hashed_inputs(server.local_farm, sources)
        upload_files(server, files, project=request.project)
        inputs = [asdict(each) for each in files.values()]
        options["replacements"] = [asdict(each) for each in replacements]
    kept = ("frames", "animation", "name", "project", "pool", "priority", "max_slots", "max_attempts")
    more = ("frame_timeout_s", "paused", "cameras", "after", "after_any", "requires")
    body = {name: getattr(request, name) for name in (*kept, *more)}
    body |= {"model": model.id, "options": options, "inputs": inputs}
    key = {"Idempotency-Key": request.idempotency_key} if request.idempotency_key is not None else {}
    done = server.api.ask("POST", "/jobs", {}, body, headers=key, patience_s=_BULK_S)
    return SubmittedRef(JobRef(job_id(done.get("job"))), done["new"], tuple(done["notes"]))


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
    done = server.api.post(f"/jobs/{quoted(job_ref)}/retry", {"frames": frames}, patience_s=_BULK_S)
    return JobRef(job_id(done.get("job"))), done["tasks"]


def select_jobs(server: ServerConnection, *, older_than: timedelta, states: Sequence[str] = ()) -> list[str]:
    """Jobs that may be removed."""
    seconds = older_than.total_seconds()
    found: list[str] = server.api.get("/jobs/removable", older_than_s=seconds, state=list(states) or None)
    return found


def remove_jobs(
    server: ServerConnection, refs: Sequence[str], *, force: bool = False, dry_run: bool = False
) -> "list[Removed]":
    """Remove ended jobs."""
    from renderctl.repository.jobs.deletion import Removed

    body = {"jobs": list(refs), "force": force, "dry_run": dry_run}
    return typed(list[Removed], server.api.post("/jobs/remove", body, patience_s=_BULK_S))


def watch(
    server: ServerConnection, job_ref: str, *, stop: threading.Event, timeout_s: float | None = None
) -> Iterator[dict[str, Any]]:
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
        if kind == "lost":
            document = last
            with patience.bearing():
                document = status(server, last["id"], cached=False)
        if kind in ("job", "lost") and document != last:
            last = document
            yield last
        if _is_over(last):
            return


def _is_over(document: dict[str, Any]) -> bool:
    return document["state"] in ENDED_JOB and not document["tasks"]["running"]


def _steered(server: ServerConnection, ref: str, verb: str) -> JobRef:
    return JobRef(job_id(server.api.post(f"/jobs/{quoted(ref)}/{verb}", patience_s=_BULK_S)))
