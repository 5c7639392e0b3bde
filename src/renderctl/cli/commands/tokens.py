"""`renderctl tokens`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, people_tables
from renderctl.core.actors import Scope

app = typer.Typer(
    add_completion=False, name="tokens", help="List, create and revoke tokens.", invoke_without_command=True
)


@app.callback()
def tokens(context: typer.Context) -> None:
    """List, create and revoke tokens."""
    if context.invoked_subcommand is None:
        console.show(connect().list_tokens(), people_tables.tokens)


@app.command("list")
def list_tokens(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List tokens: their user, scope and expiry."""
    console.show(connect().list_tokens(user), people_tables.tokens)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.", parser=non_empty, show_default=False)],
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="The token's user; default: you.")] = None,
    scope: Annotated[
        Scope,
        typer.Option("--scope", help="read: see, download; work: also submit, control; all."),
    ] = Scope.WORK,
    days: Annotated[float, typer.Option("--days", metavar="N", min=0, help="How long it is valid; 0: forever.")] = 90.0,
) -> None:
    """Create a token and print it, once."""
    lasts_s = days * 86_400 or None
    console.show(connect().create_token(name, user=user, scope=scope, lasts_s=lasts_s), people_tables.new_token)


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="A token's id: see `tokens list`.", show_default=False)]) -> None:
    """Revoke a token: it is no longer valid."""
    console.show(connect().revoke_token(token), lambda revoked: f"Token {revoked.id} ({revoked.name}) is revoked.")
