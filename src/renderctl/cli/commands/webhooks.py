"""`renderctl webhooks`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, webhook_tables
from renderctl.core.webhooks import DeliveryState, Event

app = typer.Typer(
    add_completion=False,
    name="webhooks",
    help="Notify receivers of events, and show deliveries.",
    invoke_without_command=True,
)
Hook = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="A webhook's id: see `webhooks list`.", show_default=False)
]


@app.callback()
def webhooks(context: typer.Context) -> None:
    """Notify receivers of events, and show deliveries."""
    if context.invoked_subcommand is None:
        console.show(connect().list_webhooks(), webhook_tables.webhooks)


@app.command("list")
def list_webhooks() -> None:
    """List webhooks: their addresses and events."""
    console.show(connect().list_webhooks(), webhook_tables.webhooks)


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https:// or http://.", show_default=False)],
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="NAME", parser=non_empty, help="Notify of all jobs of this project."),
    ] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="JOB", parser=non_empty, help="Notify of this job only.")
    ] = None,
    event: Annotated[
        list[Event] | None, typer.Option("--event", help="Notify of this event only (repeatable); default: all.")
    ] = None,
) -> None:
    """Add a webhook for a job or a project, and print the secret that signs its requests, once."""
    added = connect().add_webhook(url, job=job, project=project, events=tuple(event or ()))
    console.note(f"Webhook {added.webhook.id} is told of {webhook_tables.about(added.webhook)}. It is signed with:")
    console.show(added, webhook_tables.new_webhook)


@app.command()
def rm(webhook: Hook) -> None:
    """Remove a webhook with its deliveries."""
    console.show(connect().remove_webhook(webhook), lambda removed: f"Webhook {removed.id} is removed.")


@app.command()
def deliveries(
    webhook: Annotated[str | None, typer.Argument(metavar="[WEBHOOK]", help="Only this webhook's.")] = None,
    undeliverable: Annotated[
        bool, typer.Option("--undeliverable", help="Only deliveries that are no longer retried.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Maximum number.")] = 50,
) -> None:
    """List deliveries, the newest first, with their results."""
    sent = connect().list_deliveries(webhook, undeliverable=undeliverable, limit=limit)
    console.show(sent, webhook_tables.deliveries)


@app.command()
def resend(
    delivery: Annotated[str, typer.Argument(help="A delivery's id: see `webhooks deliveries`.", show_default=False)],
) -> None:
    """Send a delivery again, under its own id."""
    console.show(connect().resend(delivery), lambda resent: f"Delivery {resent.id} is sent again, within seconds.")


@app.command()
def test(webhook: Hook) -> None:
    """Send a `ping` now, and show the result; exit code 8 if the receiver did not accept it."""
    tried = connect().ping(webhook)
    console.show(tried, webhook_tables.delivery)
    if tried.state is not DeliveryState.DELIVERED:
        raise typer.Exit(8)
