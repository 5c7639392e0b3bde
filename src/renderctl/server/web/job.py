"""The page of a job: its status, frames, images and times."""

import asyncio
import json
from concurrent.futures import Future
from pathlib import Path as FilePath
from typing import Annotated

import anyio.to_thread
from fastapi import Path, Query, Response
from fastapi.responses import FileResponse

from renderctl.core.errors import Busy
from renderctl.core.job_status import JobStatus
from renderctl.core.jobs import Attempt, Task
from renderctl.core.states import AttemptState, TaskState
from renderctl.server.errors import error_response
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.wiring.server_parts import ServerParts

router = new_router()
#: Frames of the grid, frames of a list, and images of the strip.
GRID_SIZE, _LISTED, _STRIP = 10_000, 50, 12
#: Seconds that a request waits for a thumbnail.
_THUMBNAIL_WAIT_S = 20.0
JobRef = Annotated[str, Path(max_length=255)]
After = Annotated[int, Query(ge=0, le=1 << 31)]
#: Actions with a job, and the states in which they make sense; each is a permission `job.…`.
_ACTIONS = {
    "pause": ("queued", "running"),
    "resume": ("paused",),
    "cancel": ("queued", "running", "paused"),
    "retry": ("failed", "canceled"),
    "priority": ("queued", "running", "paused"),
    "remove": ("succeeded", "failed", "canceled"),
}


@router.get("/jobs/{job}")
def job(
    context: CurrentPage,
    job: JobRef,
    state: Annotated[str, Query(max_length=20)] = "",
    after: After = 0,
    grid_after: After = 0,
) -> Response:
    """One job."""
    verbs = context.verbs
    document = verbs.status(job, cached=False)
    tasks = verbs.tasks(document["id"], (state,) if state else (), after=after, limit=_LISTED)
    latest = verbs.outputs(document["id"], latest=True, limit=_STRIP).outputs
    return context.show(
        "job",
        job=document,
        actions=allowed_actions(context, document),
        tasks=tasks,
        latest=latest,
        state=state,
        states=tuple(TaskState),
        after=after,
        more=tasks[-1].number if len(tasks) == _LISTED else None,
        grid_after=grid_after,
        grid_size=GRID_SIZE,
    )


def allowed_actions(context: PageContext, document: JobStatus) -> list[str]:
    """What the user may do with the job in its state."""
    return [
        action
        for action, states in _ACTIONS.items()
        if document["state"] in states and context.can_job(f"job.{action}", document)
    ]


@router.get("/jobs/{job}/frames.json")
def frame_states(context: CurrentPage, job: JobRef, after: After = 0) -> Response:
    """States and seconds of frames, in short form: there may be 10,000."""
    tasks: list[Task] = context.verbs.tasks(job, after=after, limit=GRID_SIZE)
    cameras = list(dict.fromkeys(task.camera for task in tasks))
    document = {
        "after": after,
        "frames": [task.frame for task in tasks],
        "cameras": cameras,
        "camera": [cameras.index(task.camera) for task in tasks] if len(cameras) > 1 else [],
        "states": "".join(task.state[0] for task in tasks),
        "seconds": _seconds(context, job, tasks),
    }
    return Response(json.dumps(document, separators=(",", ":")), media_type="application/json")


def _seconds(context: PageContext, job: str, tasks: list[Task]) -> list[float | None]:
    """The seconds of each task that succeeded."""
    seconds: dict[int, float] = {}
    last = ""
    while tasks:
        between = (tasks[0].number, tasks[-1].number)
        page: list[Attempt] = context.verbs.attempts(job, tasks_between=between, after=last, limit=GRID_SIZE)
        for attempt in page:
            if attempt.state is AttemptState.SUCCEEDED and attempt.started_at and attempt.ended_at:
                seconds[attempt.number] = round((attempt.ended_at - attempt.started_at).total_seconds(), 3)
        if len(page) < GRID_SIZE:
            break
        last = page[-1].id
    return [seconds.get(task.number) for task in tasks]


@router.get("/jobs/{job}/images/{number}/{name}")
async def image(
    context: CurrentPage,
    job: JobRef,
    number: Annotated[int, Path(ge=1, le=1 << 31)],
    name: Annotated[str, Path(max_length=255)],
    side: Annotated[int, Query(ge=1, le=10_000)] = 480,
) -> Response:
    """A thumbnail of an output of any format."""
    parts: ServerParts = context.request.app.state.parts
    try:
        thumbnail = await anyio.to_thread.run_sync(
            lambda: parts.thumbnails.request(
                context.verbs.open_output(job, number, name), side, context.principal.actor.name
            )
        )
        if isinstance(thumbnail, Future):
            thumbnail = await _wait_for(thumbnail)
    except Busy as error:  # as a document: the browser wants an image, not a page
        return error_response(error)
    headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
    return FileResponse(thumbnail, media_type="image/webp", headers=headers)


async def _wait_for(thumbnail: "Future[FilePath]") -> FilePath:
    """The thumbnail when it is made, perhaps for others as well. Raises Busy after 20 seconds, and its errors."""
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(thumbnail)), _THUMBNAIL_WAIT_S)
    except TimeoutError as error:
        raise Busy("The image is still being made.", retry_after_s=5.0) from error
