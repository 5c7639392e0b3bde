"""Jobs: submitted, listed, steered, removed."""

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
_MOST_JOBS = 1000


class SubmitBody(BaseModel):
    """A model, and how it is to be rendered; what is left out is as the scene says."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="NAME, NAME@VERSION or an id.", max_length=300)
    options: RenderOptions = RenderOptions()
    frames: Frames | None = Field(None, description="1-100,120,200-300x2; null: the scene's current frame.")
    animation: bool = False
    cameras: list[Name] = Field([], max_length=MAX_CAMERAS)
    inputs: list[FileBody] = Field(
        [], description="Files that were sent, for the replacements in `options`.", max_length=MAX_FILES
    )
    name: Name | None = None
    project: Name | None = None
    pool: Name = "default"
    priority: int = 5
    max_slots: int | None = None
    max_attempts: int = 3
    frame_timeout_s: float | None = None
    after: list[Name] = Field([], description="Jobs that have to succeed first.", max_length=MAX_AFTER)
    after_any: list[Name] = Field([], description="Jobs that have to end first, in any way.", max_length=MAX_AFTER)
    paused: bool = False
    requires: list[Name] = Field([], max_length=MAX_TAGS)

    def request(self, key: str | None) -> SubmitRequest:
        """As the use-case takes it. Raises BadFrames, InvalidInput."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "model"}
        tuples = {name: tuple(said[name]) for name in ("cameras", "after", "after_any", "requires")}
        tuples["inputs"] = tuple(each.input() for each in self.inputs)
        return replace(SubmitRequest(), **said | tuples, idempotency_key=key)


class RetryBody(BaseModel):
    frames: Frames | None = Field(None, description="These, even if they succeeded; null: what failed or was canceled.")


class PriorityBody(BaseModel):
    priority: int = Field(description="0 to 10; 10 is first.")


class RemoveBody(BaseModel):
    jobs: list[Name] = Field(max_length=_MOST_JOBS)
    force: bool = Field(False, description="Cancel those that have not ended.")
    dry_run: bool = False


@router.get("/jobs", response_model=JobPage)
def list_jobs(
    verbs: Commands,
    state: Annotated[list[Name] | None, Query()] = None,
    owner: Annotated[str | None, Query(max_length=255)] = None,
    project: Annotated[str | None, Query(max_length=255)] = None,
    before: Annotated[str | None, Query(description="Only jobs that are older than this one.", max_length=20)] = None,
    search: Annotated[
        str | None,
        Query(description="A part of the job's or its model's name, or the beginning of its id.", max_length=255),
    ] = None,
    model: Annotated[str | None, Query(description="The id of the model that they are made of.", max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_JOBS)] = 50,
) -> Response:
    """List jobs, the newest first."""
    found = verbs.jobs(
        tuple(state or ()), owner=owner, project=project, before=before, search=search, model_id=model, limit=limit
    )
    return json_response({"jobs": found, "next": found[-1]["id"] if len(found) == limit else None})


@router.post("/jobs", response_model=SubmittedDocument, status_code=201, responses={200: {"model": SubmittedDocument}})
def submit(
    verbs: Commands,
    body: SubmitBody,
    idempotency_key: Annotated[str | None, Header(description="Makes the same job once.", max_length=255)] = None,
) -> Response:
    """Queue a job. 200: its idempotency key had been used for the same request."""
    request = body.request(idempotency_key)
    model = verbs.show_model(body.model, project=request.project or verbs.actor.default_project)
    done = verbs.submit(model, request)
    job = verbs.status(done.job.id, cached=False)
    return json_response({"job": job, "new": done.new, "notes": done.notes}, 201 if done.new else 200)


@router.get("/jobs/removable", response_model=list[str])
def removable(
    verbs: Commands,
    older_than_s: Annotated[float, Query(ge=0, le=1e10)],
    state: Annotated[list[Name] | None, Query()] = None,
) -> Response:
    """The ids of jobs that ended so long ago and that whoever asks may remove."""
    return json_response(verbs.select_jobs(older_than=timedelta(seconds=older_than_s), states=tuple(state or ())))


@router.post("/jobs/remove", response_model=list[RemovedJob])
def remove(verbs: Commands, body: RemoveBody) -> Response:
    """Remove ended jobs with their images, tasks, attempts and logs."""
    return json_response(verbs.remove_jobs(body.jobs, force=body.force, dry_run=body.dry_run))


@router.get("/jobs/{job}", response_model=JobDocument)
def status(
    verbs: Commands,
    job: JobRef,
    cached: Annotated[bool, Query(description="Whether an answer may be two seconds old.")] = True,
) -> Response:
    """Say where a job stands, and why it waits."""
    return json_response(verbs.status(job, cached=cached))


@router.delete("/jobs/{job}", response_model=RemovedJob)
def remove_one(verbs: Commands, job: JobRef, force: bool = False) -> Response:
    """Remove an ended job."""
    return json_response(verbs.remove_jobs([job], force=force)[0])


@router.post("/jobs/{job}/cancel", response_model=JobDocument)
def cancel(verbs: Commands, job: JobRef) -> Response:
    """Stop a job; finished frames are kept."""
    return _steered(verbs, verbs.cancel(job))


@router.post("/jobs/{job}/pause", response_model=JobDocument)
def pause(verbs: Commands, job: JobRef) -> Response:
    """Let running frames finish and start no more."""
    return _steered(verbs, verbs.pause(job))


@router.post("/jobs/{job}/resume", response_model=JobDocument)
def resume(verbs: Commands, job: JobRef) -> Response:
    """Go on with a paused job."""
    return _steered(verbs, verbs.resume(job))


@router.post("/jobs/{job}/retry", response_model=RetriedDocument)
def retry(verbs: Commands, job: JobRef, body: RetryBody | None = None) -> Response:
    """Render again what failed or was canceled, or the given frames."""
    again, count = verbs.retry(job, body.frames if body else None)
    return json_response({"job": verbs.status(again.id, cached=False), "tasks": count})


@router.put("/jobs/{job}/priority", response_model=JobDocument)
def priority(verbs: Commands, job: JobRef, body: PriorityBody) -> Response:
    """Change a job's priority, from its next turn on."""
    return _steered(verbs, verbs.priority(job, body.priority))


def _steered(verbs: Commands, job: Job) -> Response:
    return json_response(verbs.status(job.id, cached=False))
