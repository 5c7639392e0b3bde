"""Webhooks, over HTTP."""

from collections.abc import Sequence

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import typed
from renderctl.core.webhooks import Delivery, Webhook
from renderctl.farm.webhooks.registrations import NewWebhook


def add_webhook(
    server: ServerConnection,
    url: str,
    *,
    job: str | None = None,
    project: str | None = None,
    events: Sequence[str] = (),
) -> NewWebhook:
    """Have a receiver told; the server sends, and says which addresses it may send to."""
    body = {"url": url, "job": job, "project": project, "events": list(events)}
    return typed(NewWebhook, server.api.post("/webhooks", body))


def list_webhooks(server: ServerConnection) -> list[Webhook]:
    """The webhooks that one may see."""
    return typed(list[Webhook], server.api.get("/webhooks"))


def remove_webhook(server: ServerConnection, webhook_ref: str) -> Webhook:
    """Tell a receiver nothing any more."""
    return typed(Webhook, server.api.delete(f"/webhooks/{quoted(webhook_ref)}"))


def list_deliveries(
    server: ServerConnection,
    webhook: str | None = None,
    *,
    undeliverable: bool = False,
    before: str | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """What was told, the newest first."""
    path = "/webhooks/deliveries" if webhook is None else f"/webhooks/{quoted(webhook)}/deliveries"
    return typed(list[Delivery], server.api.get(path, undeliverable=undeliverable, before=before, limit=limit))


def resend(server: ServerConnection, delivery_ref: str) -> Delivery:
    """Have it sent again."""
    return typed(Delivery, server.api.post(f"/webhooks/deliveries/{quoted(delivery_ref)}/resend"))


def ping(server: ServerConnection, webhook_ref: str) -> Delivery:
    """Have the server send a `ping` now."""
    return typed(Delivery, server.api.post(f"/webhooks/{quoted(webhook_ref)}/ping"))
