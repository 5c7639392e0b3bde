"""Webhooks and their deliveries."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.webhooks import Delivery, Webhook
from renderctl.farm.webhooks.registrations import NewWebhook
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.outbound_requests import OutboundRequests
from renderctl.server.request_models import Name
from renderctl.server.responses import json_response
from renderctl.wiring import LocalCommands

Answer = TypeVar("Answer")
router = new_router("webhooks")
WebhookRef = Annotated[str, Path(description="A webhook's id, or a unique beginning of it.", max_length=20)]
DeliveryRef = Annotated[str, Path(description="A delivery's id, or a unique beginning of it.", max_length=24)]
Undeliverable = Annotated[bool, Query(description="Only deliveries that have failed for good.")]
Before = Annotated[str | None, Query(description="The id of the last delivery of the page before.", max_length=24)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class WebhookBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="The receiver: https:// or http://.", max_length=2000)
    job: Name | None = Field(None, description="The job whose events it gets.")
    project: Name | None = Field(None, description="Or the project whose jobs' events it gets.")
    events: list[Name] = Field([], description="The events that it gets; none: all.", max_length=100)


@router.get("/webhooks", response_model=list[Webhook])
def list_webhooks(verbs: Commands) -> Response:
    """List the webhooks you may see."""
    return json_response(verbs.list_webhooks())


@router.post("/webhooks", response_model=NewWebhook, status_code=201)
async def add_webhook(request: Request, verbs: Commands, body: WebhookBody) -> Response:
    """Create a webhook for a job or a project; its signing secret is shown only now."""
    call = partial(verbs.add_webhook, body.url, job=body.job, project=body.project, events=tuple(body.events))
    return json_response(await _run_outbound(request, verbs, call), 201)


@router.get("/webhooks/deliveries", response_model=list[Delivery])
def list_deliveries(
    verbs: Commands, undeliverable: Undeliverable = False, before: Before = None, limit: Limit = 50
) -> Response:
    """List the deliveries of all webhooks you may see, newest first."""
    return json_response(verbs.list_deliveries(undeliverable=undeliverable, before=before, limit=limit))


@router.post("/webhooks/deliveries/{delivery}/resend", response_model=Delivery)
def resend(verbs: Commands, delivery: DeliveryRef) -> Response:
    """Resend a delivery, with the same id."""
    return json_response(verbs.resend(delivery))


@router.delete("/webhooks/{webhook}", response_model=Webhook)
def remove_webhook(verbs: Commands, webhook: WebhookRef) -> Response:
    """Remove a webhook and its deliveries."""
    return json_response(verbs.remove_webhook(webhook))


@router.get("/webhooks/{webhook}/deliveries", response_model=list[Delivery])
def deliveries_of(
    verbs: Commands, webhook: WebhookRef, undeliverable: Undeliverable = False, before: Before = None, limit: Limit = 50
) -> Response:
    """List the deliveries of a webhook, newest first."""
    return json_response(verbs.list_deliveries(webhook, undeliverable=undeliverable, before=before, limit=limit))


@router.post("/webhooks/{webhook}/ping", response_model=Delivery)
async def ping(request: Request, verbs: Commands, webhook: WebhookRef) -> Response:
    """Send a `ping` once, now, and return its delivery. 429: too many pings of the user are under way."""
    return json_response(await _run_outbound(request, verbs, partial(verbs.ping, webhook)))


async def _run_outbound(request: Request, verbs: LocalCommands, call: Callable[[], Answer]) -> Answer:
    """Run a call that contacts a receiver or resolves its name, in a thread of its own pool."""
    outbound: OutboundRequests = request.app.state.outbound
    return await outbound.run(verbs.actor.name, call)
