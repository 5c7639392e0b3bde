"""Jobs: submit, list, control, remove."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.jobs import Job, RemovedJob, RenderOptions
from renderctl.core.limits import MAX_AFTER, MAX_CAMERAS, MAX_FILES, MAX_FRAMES_TEXT, MAX_TAGS
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.request_models import FileBody, Name
from renderctl.server.response_models import JobDocument, JobPage, RetriedDocument, SubmittedDocument
from renderctl.server.responses import json_response

router = new_router("jobs")
JobRef = Annotated[str, Path(description="An id, a unique beginning of one, or a unique name.", max_length=255)]
Frames = Annotated[str, Field(max_length=MAX_FRAMES_TEXT)]
_MAX_JOBS = 1000


class SubmitBody(BaseModel):
    """A model and its render options; those left out are the scene's own."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="NAME, NAME@VERSION or an id.", max_length=300)
    options: RenderOptions = RenderOptions()
    frames: Frames | None = Field(None, description="1-100,120,200-300x2; null: the scene's current frame.")
    animation: bool = False
    cameras: list[Name] = Field([], max_length=MAX_CAMERAS)
    inputs: list[FileBody] = Field(
        [], description="Uploaded files, for the replacements in `options`.", max_length=MAX_FILES
    )
    name: Name | None = None
    project: Name | None = None
    pool: Name = "default"
    priority: int = 5
    max_slots: int | None = None
    max_attempts: int = 3
    frame_timeout_s: float | None = None
    after: list[Name] = Field([], description="Jobs that must succeed first.", max_length=MAX_AFTER)
    after_any: list[Name] = Field([], description="Jobs that must finish first, in any state.", max_length=MAX_AFTER)
    paused: bool = False
    requires: list[Name] = Field([], max_length=MAX_TAGS)

    def request(self, key: str | None) -> SubmitRequest:
        """The request of the use-case. Raises BadFrames, InvalidInput."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "model"}
        tuples = {name: tuple(values[name]) for name in ("cameras", "after", "after_any", "requires")}
        tuples["inputs"] = tuple(file.input() for file in self.inputs)
        return replace(SubmitRequest(), **values | tuples, idempotency_key=key)


class RetryBody(BaseModel):
    frames: Frames | None = Field(
        None, description="These, even those that succeeded; null: all failed and canceled ones."
    )


class PriorityBody(BaseModel):
    priority: int = Field(description="0 to 10; 10 is first.")


class RemoveBody(BaseModel):
    jobs: list[Name] = Field(max_length=_MAX_JOBS)
    force: bool = Field(False, description="Cancel unfinished jobs first.")
    dry_run: bool = False


@router.get("/jobs", response_model=JobPage)
def list_jobs(
    verbs: Commands,
    state: Annotated[list[Name] | None, Query()] = None,
    owner: Annotated[str | None, Query(max_length=255)] = None,
    project: Annotated[str | None, Query(max_length=255)] = None,
    before: Annotated[str | None, Query(description="Only jobs older than this one.", max_length=20)] = None,
    search: Annotated[
        str | None,
        Query(description="A part of the job's or its model's name, or the beginning of its id.", max_length=255),
    ] = None,
    model: Annotated[str | None, Query(description="The id of the model that they are made of.", max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_JOBS)] = 50,
) -> Response:
    """List jobs, newest first."""
    jobs = verbs.jobs(
        tuple(state or ()), owner=owner, project=project, before=before, search=search, model_id=model, limit=limit
    )
    return json_response({"jobs": jobs, "next": jobs[-1]["id"] if len(jobs) == limit else None})


@router.post("/jobs", response_model=SubmittedDocument, status_code=201, responses={200: {"model": SubmittedDocument}})
def submit(
    verbs: Commands,
    body: SubmitBody,
    idempotency_key: Annotated[
        str | None, Header(description="The same key creates the job only once.", max_length=255)
    ] = None,
) -> Response:
    """Submit a job. 200: its idempotency key was used for the same request before."""
    request = body.request(idempotency_key)
    model = verbs.show_model(body.model, project=request.project or verbs.actor.default_project)
    submitted = verbs.submit(model, request)
    job = verbs.status(submitted.job.id, cached=False)
    return json_response({"job": job, "new": submitted.new, "notes": submitted.notes}, 201 if submitted.new else 200)


@router.get("/jobs/removable", response_model=list[str])
def removable(
    verbs: Commands,
    older_than_s: Annotated[float, Query(ge=0, le=1e10)],
    state: Annotated[list[Name] | None, Query()] = None,
) -> Response:
    """List the ids of jobs that finished so long ago, and that the user may remove."""
    return json_response(verbs.select_jobs(older_than=timedelta(seconds=older_than_s), states=tuple(state or ())))


@router.post("/jobs/remove", response_model=list[RemovedJob])
def remove(verbs: Commands, body: RemoveBody) -> Response:
    """Remove finished jobs with their images, tasks, attempts and logs."""
    return json_response(verbs.remove_jobs(body.jobs, force=body.force, dry_run=body.dry_run))


@router.get("/jobs/{job}", response_model=JobDocument)
def status(
    verbs: Commands,
    job: JobRef,
    cached: Annotated[bool, Query(description="Allow a response that is up to two seconds old.")] = True,
) -> Response:
    """Show a job: its status, and why it waits."""
    return json_response(verbs.status(job, cached=cached))


@router.delete("/jobs/{job}", response_model=RemovedJob)
def remove_one(verbs: Commands, job: JobRef, force: bool = False) -> Response:
    """Remove a finished job."""
    return json_response(verbs.remove_jobs([job], force=force)[0])


@router.post("/jobs/{job}/cancel", response_model=JobDocument)
def cancel(verbs: Commands, job: JobRef) -> Response:
    """Cancel a job; finished frames are kept."""
    return _current(verbs, verbs.cancel(job))


@router.post("/jobs/{job}/pause", response_model=JobDocument)
def pause(verbs: Commands, job: JobRef) -> Response:
    """Pause a job: running frames finish, and no more are started."""
    return _current(verbs, verbs.pause(job))


@router.post("/jobs/{job}/resume", response_model=JobDocument)
def resume(verbs: Commands, job: JobRef) -> Response:
    """Resume a paused job."""
    return _current(verbs, verbs.resume(job))


@router.post("/jobs/{job}/retry", response_model=RetriedDocument)
def retry(verbs: Commands, job: JobRef, body: RetryBody | None = None) -> Response:
    """Retry failed and canceled frames, or the given ones."""
    retried, count = verbs.retry(job, body.frames if body else None)
    return json_response({"job": verbs.status(retried.id, cached=False), "tasks": count})


@router.put("/jobs/{job}/priority", response_model=JobDocument)
def priority(verbs: Commands, job: JobRef, body: PriorityBody) -> Response:
    """Change the priority of a job, for its next frames."""
    return _current(verbs, verbs.priority(job, body.priority))


def _current(verbs: Commands, job: Job) -> Response:
    return json_response(verbs.status(job.id, cached=False))
