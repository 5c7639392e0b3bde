"""Events: what changes, as it does."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from renderctl.errors import NotAllowed
from renderctl.server.api import new_router
from renderctl.server.api.tasks import STREAM
from renderctl.server.doors import Admitted, Verbs, admitted, still_admitted
from renderctl.server.watching import Follower, Watch

router = new_router("events")
#: Seconds without an event after which a sign of life is sent, and the right to follow is looked at again.
_QUIET_S = 10.0


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def events(
    request: Request,
    verbs: Verbs,
    who: Annotated[Admitted, Depends(admitted)],
    job: Annotated[str | None, Query(description="Of this job alone; else of all that one may see.")] = None,
) -> Response:
    """Events `job` (its document), `task` (an attempt at one), `output`, `removed`.

    With a job the first one is how it stands. `lost`: more happened than was read; ask anew.
    """
    document = await anyio.to_thread.run_sync(lambda: verbs.status(job, cached=False)) if job is not None else None
    follower = Follower(who.actor, document["id"] if document else None)
    first = format_sse_event(data_str=json.dumps(document), event="job") if document else KEEPALIVE_COMMENT
    return StreamingResponse(_told(request, follower, first), media_type="text/event-stream")


async def _told(request: Request, follower: Follower, first: bytes) -> AsyncIterator[bytes]:
    watch: Watch = request.app.state.watch
    async with watch.following(follower):
        yield first
        while not (await request.is_disconnected() or request.app.state.leaving.is_set()):
            news = await follower.news(_QUIET_S)
            for text in news or [KEEPALIVE_COMMENT]:
                yield text
            if not news:
                try:
                    follower.actor = (await still_admitted(request)).actor
                except NotAllowed:
                    return
