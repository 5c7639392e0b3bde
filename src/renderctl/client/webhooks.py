"""Webhooks, over HTTP."""

from collections.abc import Sequence

from renderctl.client.commands import RemoteCommands
from renderctl.client.http import quoted
from renderctl.client.responses import typed
from renderctl.core.webhooks import Delivery, Webhook
from renderctl.farm.webhooks.registrations import NewWebhook


def add_webhook(
    server: RemoteCommands, url: str, *, job: str | None = None, project: str | None = None, events: Sequence[str]
) -> NewWebhook:
    """Have a receiver told; the server sends, and says which addresses it may send to."""
    body = {"url": url, "job": job, "project": project, "events": list(events)}
    return typed(NewWebhook, server.api.post("/webhooks", body))


def list_webhooks(server: RemoteCommands) -> list[Webhook]:
    """The webhooks that one may see."""
    return typed(list[Webhook], server.api.get("/webhooks"))


def remove_webhook(server: RemoteCommands, webhook: str) -> Webhook:
    """Tell a receiver nothing any more."""
    return typed(Webhook, server.api.delete(f"/webhooks/{quoted(webhook)}"))


def list_deliveries(
    server: RemoteCommands, webhook: str | None = None, *, undeliverable: bool = False, limit: int = 50
) -> list[Delivery]:
    """What was told, the newest first."""
    path = "/webhooks/deliveries" if webhook is None else f"/webhooks/{quoted(webhook)}/deliveries"
    return typed(list[Delivery], server.api.get(path, undeliverable=undeliverable, limit=limit))


def resend(server: RemoteCommands, delivery: str) -> Delivery:
    """Have it sent again."""
    return typed(Delivery, server.api.post(f"/webhooks/deliveries/{quoted(delivery)}/resend"))


def ping(server: RemoteCommands, webhook: str) -> Delivery:
    """Have the server send a `ping` now."""
    return typed(Delivery, server.api.post(f"/webhooks/{quoted(webhook)}/ping"))
