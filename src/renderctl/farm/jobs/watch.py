"""`watch` and `--wait`: a job until it ends, decided from the database and never from the cache."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from renderctl.core.actors import Actor
from renderctl.core.errors import GaveUpWaiting, JobCanceled, JobFailed
from renderctl.core.outages import OutageGrace
from renderctl.core.states import ENDED_JOB, JobState
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.status import job_document

if TYPE_CHECKING:
    from renderctl.core.job_status import JobStatus

_LOOK_EVERY_S = 0.5


def watch(
    farm: Farm, actor: Actor, job_ref: str, *, stop: threading.Event, timeout_s: float | None = None
) -> "Iterator[JobStatus]":
    """The job's document whenever it has changed, until the job has ended and nothing of it runs any more.

    A database that goes away meanwhile is waited for. Raises GaveUpWaiting after `timeout_s` seconds.
    """
    job_id = authorized_job(farm, actor, job_ref, "job.see").id
    started, patience, last = farm.clock.monotonic(), OutageGrace(farm.clock), None
    document = job_document(farm, job_id)
    while True:
        if document != last:
            yield document
            last = document
        if document["state"] in ENDED_JOB and not document["tasks"]["running"]:
            return
        if timeout_s is not None and farm.clock.monotonic() - started >= timeout_s:
            raise GaveUpWaiting(f"Job {job_id} was still {document['state']} after {timeout_s:g} s; it goes on.")
        if farm.clock.wait(stop, _LOOK_EVERY_S):
            return
        with patience.tolerate():
            document = job_document(farm, job_id)


def require_success(document: "JobStatus") -> None:
    """Raises JobFailed or JobCanceled, with the reason, for a job that has ended otherwise than well."""
    if document["state"] == JobState.FAILED:
        reason = f": {document['error']}" if document["error"] else "."
        failed = document["tasks"]["failed"]
        count = f" ({failed} of {document['tasks']['total']} tasks)" if failed else ""
        raise JobFailed(
            f"Job {document['id']} failed{count}{reason}",
            hint=f"`renderctl logs {document['id']}` shows what Blender said; `renderctl retry` tries again.",
        )
    if document["state"] == JobState.CANCELED:
        raise JobCanceled(f"Job {document['id']} was canceled.")
