"""Webhooks, and what became of what they were told."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.webhooks import Delivery, Webhook
from renderctl.farm.webhooks.registrations import NewWebhook
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.outbound_requests import OutgoingCalls
from renderctl.server.request_models import Name
from renderctl.server.responses import json_response
from renderctl.wiring import LocalCommands

Answer = TypeVar("Answer")
router = new_router("webhooks")
WebhookRef = Annotated[str, Path(description="A webhook's id, or a unique beginning of it.", max_length=20)]
DeliveryRef = Annotated[str, Path(description="A delivery's id, or a unique beginning of it.", max_length=24)]
Undeliverable = Annotated[bool, Query(description="Only what is not tried again.")]
Before = Annotated[str | None, Query(description="The id of the last one that is known.", max_length=24)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class WebhookBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="Where to: https:// or http://.", max_length=2000)
    job: Name | None = Field(None, description="The job that it is told of.")
    project: Name | None = Field(None, description="Or the project, of all whose jobs it is told.")
    events: list[Name] = Field([], description="What it is told of; none: everything.", max_length=100)


@router.get("/webhooks", response_model=list[Webhook])
def list_webhooks(verbs: Commands) -> Response:
    """List the webhooks that one may see."""
    return json_response(verbs.list_webhooks())


@router.post("/webhooks", response_model=NewWebhook, status_code=201)
async def add_webhook(request: Request, verbs: Commands, body: WebhookBody) -> Response:
    """Have a receiver told of a job or a project; the secret that it verifies with is told this once."""
    call = partial(verbs.add_webhook, body.url, job=body.job, project=body.project, events=tuple(body.events))
    return json_response(await _outgoing(request, verbs, call), 201)


@router.get("/webhooks/deliveries", response_model=list[Delivery])
def list_deliveries(
    verbs: Commands, undeliverable: Undeliverable = False, before: Before = None, limit: Limit = 50
) -> Response:
    """List what all webhooks that one may see were told, the newest first."""
    return json_response(verbs.list_deliveries(undeliverable=undeliverable, before=before, limit=limit))


@router.post("/webhooks/deliveries/{delivery}/resend", response_model=Delivery)
def resend(verbs: Commands, delivery: DeliveryRef) -> Response:
    """Have a delivery sent again, under its own id."""
    return json_response(verbs.resend(delivery))


@router.delete("/webhooks/{webhook}", response_model=Webhook)
def remove_webhook(verbs: Commands, webhook: WebhookRef) -> Response:
    """Tell a receiver nothing any more, and forget what it was told."""
    return json_response(verbs.remove_webhook(webhook))


@router.get("/webhooks/{webhook}/deliveries", response_model=list[Delivery])
def deliveries_of(
    verbs: Commands, webhook: WebhookRef, undeliverable: Undeliverable = False, before: Before = None, limit: Limit = 50
) -> Response:
    """List what a webhook was told, the newest first."""
    return json_response(verbs.list_deliveries(webhook, undeliverable=undeliverable, before=before, limit=limit))


@router.post("/webhooks/{webhook}/ping", response_model=Delivery)
async def ping(request: Request, verbs: Commands, webhook: WebhookRef) -> Response:
    """Send a `ping` now, once; what came of it. 429: some of yours are under way already."""
    return json_response(await _outgoing(request, verbs, partial(verbs.ping, webhook)))


async def _outgoing(request: Request, verbs: LocalCommands, call: Callable[[], Answer]) -> Answer:
    """Ask a receiver, or look its name up, in a thread that nobody's requests wait for."""
    calls: OutgoingCalls = request.app.state.outgoing
    return await calls.run(verbs.actor.name, call)
