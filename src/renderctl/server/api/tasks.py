"""Tasks, the attempts at them, and what Blender printed."""

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
from renderctl.server.authentication import Commands, Principal, admitted
from renderctl.server.errors import for_others
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
unversioned = new_router("tasks", prefix="/api")  #: the one address that never changes
TaskRef = Annotated[str, Path(description="A task's id: JOB-NUMBER.", max_length=255)]
Task = Annotated[str | None, Query(description="A task's id, or its number in the job.", max_length=255)]
Limit = Annotated[int, Query(ge=1, le=10_000)]
#: Seconds between two looks at logs that grow.
_LOOK_EVERY_S = 0.5
_EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "Events, each with a document as data."}
}


@router.get("/jobs/{job}/tasks", response_model=list[TaskDocument])
def tasks(
    verbs: Commands,
    job: JobRef,
    state: Annotated[list[Name] | None, Query()] = None,
    after: Annotated[int, Query(description="The number of the last one that is known.", ge=0, le=1 << 31)] = 0,
    limit: Limit = 1000,
) -> Response:
    """List a job's tasks, in their order."""
    return json_response(verbs.tasks(job, tuple(state or ()), after=after, limit=limit))


@unversioned.get("/tasks/{task_id}/status", response_model=TaskStatusDocument)
@router.get("/tasks/{task_id}/status", response_model=TaskStatusDocument)
def task_status(verbs: Commands, task_id: TaskRef) -> Response:
    """Say where a task stands, what was tried, and what came of it."""
    return json_response(verbs.task_status(task_id))


@router.get("/jobs/{job}/attempts", response_model=list[AttemptDocument])
def attempts(
    verbs: Commands,
    job: JobRef,
    task: Task = None,
    after: Annotated[str, Query(description="The id of the last one that is known.", max_length=24)] = "",
    limit: Limit = 1000,
) -> Response:
    """List the attempts at a job's tasks, or at one of them, in the order in which they were claimed."""
    return json_response(verbs.attempts(job, task, after=after, limit=limit))


@router.get("/attempts/{attempt_id}/log", response_model=LogRangeDocument)
def attempt_log(
    verbs: Commands,
    attempt_id: Annotated[str, Path(max_length=24)],
    start: Annotated[int, Query(description="Bytes before it; below 0: from the end.", ge=-(1 << 53), le=1 << 53)] = 0,
    limit: Annotated[int, Query(description="Bytes at most.", ge=1, le=4 << 20)] = 1 << 20,
) -> Response:
    """What Blender has printed in one attempt: some of it; `end` is the `start` of what follows."""
    return json_response(verbs.attempt_log(attempt_id, start=start, limit=limit))


@router.get("/jobs/{job}/logs", response_model=list[LogPartDocument])
def logs(verbs: Commands, job: JobRef, task: Task = None) -> Response:
    """What Blender printed: for what runs, else for what failed last; of a task, for its every attempt.

    A log of more than a megabyte comes in several parts, one after the other.
    """
    return list_response(verbs.logs(job, task))


@router.get("/jobs/{job}/logs/live", response_class=StreamingResponse, responses=STREAM)
async def follow(
    request: Request, verbs: Commands, who: Annotated[Principal, Depends(admitted)], job: JobRef, task: Task = None
) -> Response:
    """Events `log`: what Blender prints, until the job has ended; then `end`."""
    connection: LocalCommands = request.app.state.connection
    follower: LogFollower = await anyio.to_thread.run_sync(lambda: verbs.log_follower(job, task))
    first = await anyio.to_thread.run_sync(follower.news)

    def may_read(now: Principal) -> None:
        connection.acting(now.actor).require_log_access(follower.job_id)

    return EventStream(request, _lines(request, follower, first), who, may_read)


async def _lines(request: Request, follower: LogFollower, parts: list[LogPart]) -> AsyncIterator[bytes]:
    try:
        while True:
            for part in parts:
                yield format_sse_event(data_str=json.dumps(to_json_value(part)), event="log")
            if follower.over or await request.is_disconnected() or request.app.state.leaving.is_set():
                yield format_sse_event(data_str="{}", event="end" if follower.over else "leave")
                return
            if not follower.has_more:
                await anyio.sleep(_LOOK_EVERY_S)
            parts = await anyio.to_thread.run_sync(follower.news)
    except RenderctlError as error:
        yield format_sse_event(data_str=json.dumps(error_document(for_others(error, request))), event="error")
