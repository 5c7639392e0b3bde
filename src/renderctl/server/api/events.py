"""The event stream: changes of jobs, tasks and outputs."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from renderctl.core.errors import RenderctlError
from renderctl.server.api import new_router
from renderctl.server.api.tasks import EVENT_STREAM_RESPONSE
from renderctl.server.authentication import Commands, Principal, current_principal
from renderctl.server.event_broadcaster import LOST, POLL_EVERY_S, Broadcaster, Subscriber
from renderctl.server.streams import EventStream
from renderctl.wiring import LocalCommands

router = new_router("events")
#: Seconds without an event after which a keepalive is sent.
_KEEPALIVE_S = 10.0
#: The same for the first one: by then the change feed was polled.
_FIRST_S = 2 * POLL_EVERY_S


@router.get("/events", response_class=StreamingResponse, responses=EVENT_STREAM_RESPONSE)
async def events(
    request: Request,
    verbs: Commands,
    principal: Annotated[Principal, Depends(current_principal)],
    job: Annotated[str | None, Query(description="Only of this job; else of all that the user may see.")] = None,
) -> Response:
    """Stream events: `job` (its document), `task` (an attempt), `output`, `removed`.

    With a job, the first event is its document. `lost`: the client has read too slowly; reload everything.
    """
    document = await anyio.to_thread.run_sync(lambda: verbs.status(job, cached=False)) if job is not None else None
    subscriber = Subscriber(principal.actor, document["id"] if document else None)
    farm_commands: LocalCommands = request.app.state.commands

    def check_access(current: Principal) -> None:
        subscriber.actor = current.actor
        if subscriber.job is not None:
            farm_commands.acting(current.actor).require_job_access(subscriber.job)

    return EventStream(request, _events(request, verbs, subscriber), principal, check_access)


async def _events(request: Request, verbs: Commands, subscriber: Subscriber) -> AsyncIterator[bytes]:
    broadcaster: Broadcaster = request.app.state.broadcaster
    timeout_s = _FIRST_S
    async with broadcaster.subscribe(subscriber):
        yield await _job_event(verbs, subscriber)
        while not (await request.is_disconnected() or request.app.state.stopping.is_set()):
            received = await subscriber.receive(timeout_s)
            for event in received or [await _job_event(verbs, subscriber)]:
                yield event
            if not received:
                timeout_s = _KEEPALIVE_S


async def _job_event(verbs: Commands, subscriber: Subscriber) -> bytes:
    """The document of the subscriber's job: changes from before the first poll are no events."""
    job = subscriber.job
    if job is None:
        return KEEPALIVE_COMMENT
    try:
        document = await anyio.to_thread.run_sync(lambda: verbs.status(job, cached=False))
    except RenderctlError:  # removed, or the database is away: the next request gets the error
        return LOST
    return format_sse_event(data_str=json.dumps(document), event="job")
