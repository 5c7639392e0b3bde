"""A job: how it stands, its frames at a glance, what they look like and how long they took."""

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
#: Frames at a glance, frames of a list, and images of a strip.
GLANCE, _LISTED, _STRIP = 10_000, 50, 12
#: Seconds that a request waits for a small copy.
_WAIT_S = 20.0
JobRef = Annotated[str, Path(max_length=255)]
After = Annotated[int, Query(ge=0, le=1 << 31)]
#: What may be done with a job: its row in the table of permissions, and the states in which it makes sense.
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
    glance: After = 0,
) -> Response:
    """One job."""
    verbs = context.verbs
    document = verbs.status(job, cached=False)
    tasks = verbs.tasks(document["id"], (state,) if state else (), after=after, limit=_LISTED)
    latest = verbs.outputs(document["id"], latest=True, limit=_STRIP).outputs
    return context.show(
        "job",
        job=document,
        deeds=allowed_actions(context, document),
        tasks=tasks,
        latest=latest,
        state=state,
        states=tuple(TaskState),
        after=after,
        more=tasks[-1].number if len(tasks) == _LISTED else None,
        glance=glance,
        a_glance=GLANCE,
    )


def allowed_actions(context: PageContext, document: JobStatus) -> list[str]:
    """What the page may do with the job, as it stands."""
    return [
        deed
        for deed, states in _ACTIONS.items()
        if document["state"] in states and context.can_job(f"job.{deed}", document)
    ]


@router.get("/jobs/{job}/glance.json")
def frame_states(context: CurrentPage, job: JobRef, after: After = 0) -> Response:
    """The state of each frame, and how many seconds it took, as short as can be: there may be 10,000."""
    tasks: list[Task] = context.verbs.tasks(job, after=after, limit=GLANCE)
    cameras = list(dict.fromkeys(each.camera for each in tasks))
    told = {
        "after": after,
        "frames": [each.frame for each in tasks],
        "cameras": cameras,
        "camera": [cameras.index(each.camera) for each in tasks] if len(cameras) > 1 else [],
        "states": "".join(each.state[0] for each in tasks),
        "seconds": _seconds(context, job, tasks),
    }
    return Response(json.dumps(told, separators=(",", ":")), media_type="application/json")


def _seconds(context: PageContext, job: str, tasks: list[Task]) -> list[float | None]:
    """What each of the tasks took, where it succeeded."""
    took: dict[int, float] = {}
    last = ""
    while tasks:
        between = (tasks[0].number, tasks[-1].number)
        page: list[Attempt] = context.verbs.attempts(job, tasks_between=between, after=last, limit=GLANCE)
        for each in page:
            if each.state is AttemptState.SUCCEEDED and each.started_at and each.ended_at:
                took[each.number] = round((each.ended_at - each.started_at).total_seconds(), 3)
        if len(page) < GLANCE:
            break
        last = page[-1].id
    return [took.get(each.number) for each in tasks]


@router.get("/jobs/{job}/images/{number}/{name}")
async def image(
    context: CurrentPage,
    job: JobRef,
    number: Annotated[int, Path(ge=1, le=1 << 31)],
    name: Annotated[str, Path(max_length=255)],
    side: Annotated[int, Query(ge=1, le=10_000)] = 480,
) -> Response:
    """A small copy of an output, whatever its format."""
    parts: ServerParts = context.request.app.state.parts
    try:
        place = await anyio.to_thread.run_sync(
            lambda: parts.thumbnails.request(
                context.verbs.open_output(job, number, name), side, context.principal.actor.name
            )
        )
        if isinstance(place, Future):
            place = await _finished(place)
    except Busy as error:  # a document: nobody reads a page in place of an image
        return error_response(error)
    headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
    return FileResponse(place, media_type="image/webp", headers=headers)


async def _finished(making: "Future[FilePath]") -> FilePath:
    """What is being made, for others as well. Raises Busy when that takes long, and whatever went wrong."""
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(making)), _WAIT_S)
    except TimeoutError as error:
        raise Busy("The image is still being made.", retry_after_s=5.0) from error
