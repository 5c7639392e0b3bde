"""Events: what changes, as it does."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from renderctl.core.errors import RenderctlError
from renderctl.server.api import new_router
from renderctl.server.api.tasks import STREAM
from renderctl.server.authentication import Commands, Principal, admitted
from renderctl.server.event_broadcaster import LOOK_EVERY_S, LOST, Broadcaster, Subscriber
from renderctl.server.streams import EventStream
from renderctl.wiring import LocalCommands

router = new_router("events")
#: Seconds without an event after which a sign of life is sent.
_QUIET_S = 10.0
#: The same at the beginning: by then the watch has looked.
_FIRST_S = 2 * LOOK_EVERY_S


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def events(
    request: Request,
    verbs: Commands,
    who: Annotated[Principal, Depends(admitted)],
    job: Annotated[str | None, Query(description="Of this job alone; else of all that one may see.")] = None,
) -> Response:
    """Events `job` (its document), `task` (an attempt at one), `output`, `removed`.

    With a job the first one is how it stands. `lost`: more happened than was read; ask anew.
    """
    document = await anyio.to_thread.run_sync(lambda: verbs.status(job, cached=False)) if job is not None else None
    follower = Subscriber(who.actor, document["id"] if document else None)
    connection: LocalCommands = request.app.state.connection

    def may_read(now: Principal) -> None:
        follower.actor = now.actor
        if follower.job is not None:
            connection.acting(now.actor).require_job_access(follower.job)

    return EventStream(request, _told(request, verbs, follower), who, may_read)


async def _told(request: Request, verbs: Commands, follower: Subscriber) -> AsyncIterator[bytes]:
    watch: Broadcaster = request.app.state.watch
    quiet_s = _FIRST_S
    async with watch.following(follower):
        yield await _standing(verbs, follower)
        while not (await request.is_disconnected() or request.app.state.leaving.is_set()):
            news = await follower.news(quiet_s)
            for text in news or [await _standing(verbs, follower)]:
                yield text
            if not news:
                quiet_s = _QUIET_S


async def _standing(verbs: Commands, follower: Subscriber) -> bytes:
    """How the followed job stands: what happened before the watch first looked at it was told to nobody."""
    job = follower.job
    if job is None:
        return KEEPALIVE_COMMENT
    try:
        document = await anyio.to_thread.run_sync(lambda: verbs.status(job, cached=False))
    except RenderctlError:  # removed, or the database is away: whoever asks anew is told which
        return LOST
    return format_sse_event(data_str=json.dumps(document), event="job")
