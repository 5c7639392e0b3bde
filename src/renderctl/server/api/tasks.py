"""Tasks, their attempts and their logs."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from renderctl.core.errors import RenderctlError
from renderctl.core.serialization import error_document, to_json_value
from renderctl.farm.jobs.attempt_logs import LogPart
from renderctl.farm.jobs.log_follower import LogFollower
from renderctl.server.api import new_router
from renderctl.server.api.jobs import JobRef
from renderctl.server.authentication import Commands, Principal, current_principal
from renderctl.server.errors import redact_error
from renderctl.server.request_models import Name
from renderctl.server.response_models import (
    AttemptDocument,
    LogPartDocument,
    LogRangeDocument,
    TaskDocument,
    TaskStatusDocument,
)
from renderctl.server.responses import json_response, list_response
from renderctl.server.streams import EventStream
from renderctl.wiring import LocalCommands

router = new_router("tasks")
unversioned = new_router("tasks", prefix="/api")  #: for the one address that has no version
TaskRef = Annotated[str, Path(description="A task's id: JOB-NUMBER.", max_length=255)]
Task = Annotated[str | None, Query(description="A task's id, or its number in the job.", max_length=255)]
Limit = Annotated[int, Query(ge=1, le=10_000)]
#: Seconds between two reads of growing logs.
_POLL_EVERY_S = 0.5
_EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
EVENT_STREAM_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "Events with documents as data."}
}


@router.get("/jobs/{job}/tasks", response_model=list[TaskDocument])
def tasks(
    verbs: Commands,
    job: JobRef,
    state: Annotated[list[Name] | None, Query()] = None,
    after: Annotated[int, Query(description="The number of the last task of the page before.", ge=0, le=1 << 31)] = 0,
    limit: Limit = 1000,
) -> Response:
    """List a job's tasks, by number."""
    return json_response(verbs.tasks(job, tuple(state or ()), after=after, limit=limit))


@unversioned.get("/tasks/{task_id}/status", response_model=TaskStatusDocument)
@router.get("/tasks/{task_id}/status", response_model=TaskStatusDocument)
def task_status(verbs: Commands, task_id: TaskRef) -> Response:
    """Show a task with its attempts and outputs."""
    return json_response(verbs.task_status(task_id))


@router.get("/jobs/{job}/attempts", response_model=list[AttemptDocument])
def attempts(
    verbs: Commands,
    job: JobRef,
    task: Task = None,
    after: Annotated[str, Query(description="The id of the last attempt of the page before.", max_length=24)] = "",
    limit: Limit = 1000,
) -> Response:
    """List the attempts of a job or of one task, oldest first."""
    return json_response(verbs.attempts(job, task, after=after, limit=limit))


@router.get("/attempts/{attempt_id}/log", response_model=LogRangeDocument)
def attempt_log(
    verbs: Commands,
    attempt_id: Annotated[str, Path(max_length=24)],
    start: Annotated[int, Query(description="Offset in bytes; negative: from the end.", ge=-(1 << 53), le=1 << 53)] = 0,
    limit: Annotated[int, Query(description="Most bytes.", ge=1, le=4 << 20)] = 1 << 20,
) -> Response:
    """Read a range of the log of an attempt; `end` is the `start` of the next range."""
    return json_response(verbs.attempt_log(attempt_id, start=start, limit=limit))


@router.get("/jobs/{job}/logs", response_model=list[LogPartDocument])
def logs(verbs: Commands, job: JobRef, task: Task = None) -> Response:
    """Read logs: of the running attempt, else of the last failed one; of a task, of each of its attempts.

    A log of more than a megabyte comes in several parts.
    """
    return list_response(verbs.logs(job, task))


@router.get("/jobs/{job}/logs/live", response_class=StreamingResponse, responses=EVENT_STREAM_RESPONSE)
async def follow_logs(
    request: Request,
    verbs: Commands,
    principal: Annotated[Principal, Depends(current_principal)],
    job: JobRef,
    task: Task = None,
) -> Response:
    """Stream events: `log` for what Blender prints, and `end` when the job has finished."""
    farm_commands: LocalCommands = request.app.state.commands
    follower: LogFollower = await anyio.to_thread.run_sync(lambda: verbs.log_follower(job, task))
    first = await anyio.to_thread.run_sync(follower.news)

    def check_access(current: Principal) -> None:
        farm_commands.acting(current.actor).require_log_access(follower.job_id)

    return EventStream(request, _log_events(request, follower, first), principal, check_access)


async def _log_events(request: Request, follower: LogFollower, parts: list[LogPart]) -> AsyncIterator[bytes]:
    try:
        while True:
            for part in parts:
                yield format_sse_event(data_str=json.dumps(to_json_value(part)), event="log")
            if follower.over or await request.is_disconnected() or request.app.state.stopping.is_set():
                yield format_sse_event(data_str="{}", event="end" if follower.over else "leave")
                return
            if not follower.has_more:
                await anyio.sleep(_POLL_EVERY_S)
            parts = await anyio.to_thread.run_sync(follower.news)
    except RenderctlError as error:
        yield format_sse_event(data_str=json.dumps(error_document(redact_error(error, request))), event="error")
