"""Webhooks, as a person reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from renderctl.cli.ui.escaping import escape_line
from renderctl.cli.ui.table import moment, new_table
from renderctl.core.webhooks import Delivery, Event, Webhook

if TYPE_CHECKING:
    from renderctl.farm.webhooks.registrations import NewWebhook


def webhooks(found: "Sequence[Webhook]") -> RenderableType:
    """One line a webhook."""
    if not found:
        return "There are no webhooks. `renderctl webhooks add URL --job JOB` adds one."
    table = new_table("id", "about", "events", "owner", "url")
    for webhook in found:
        events = "all" if set(webhook.events) == set(Event) else ", ".join(webhook.events)
        table.add_row(webhook.id, about(webhook), events, webhook.owner, escape_line(webhook.url))
    return table


def about(webhook: "Webhook") -> str:
    """What it is told of."""
    return f"job {webhook.job}" if webhook.job else f"project {webhook.project}"


def new_webhook(each: "NewWebhook") -> str:
    """The secret alone, for scripts that read it."""
    return str(each.secret)


def deliveries(found: "Sequence[Delivery]") -> RenderableType:
    """One line a delivery."""
    if not found:
        return "There are no deliveries."
    table = new_table("id", "webhook", "event", "job", "when", "state", "tries", "")
    for sent in found:
        row = (sent.id, sent.webhook, sent.event, sent.job or "-", moment(sent.at.isoformat()))
        table.add_row(*row, sent.state.value, str(sent.tries), escape_line(_came_of(sent)))
    return table


def delivery(each: "Delivery") -> str:
    """What became of one."""
    return escape_line(f"{each.event} {each.id} is {each.state.value}: {_came_of(each)}")


def _came_of(delivery: "Delivery") -> str:
    parts = [delivery.error or (f"answered {delivery.status}" if delivery.status else ""), delivery.answer or ""]
    return ": ".join(filter(None, parts)) or "it was not tried yet"
