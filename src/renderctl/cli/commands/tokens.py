"""`renderctl tokens`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, people_tables
from renderctl.core.actors import Scope

app = typer.Typer(
    add_completion=False, name="tokens", help="List, make and revoke tokens.", invoke_without_command=True
)


@app.callback()
def tokens(context: typer.Context) -> None:
    """List, make and revoke tokens."""
    if context.invoked_subcommand is None:
        console.show(connect().list_tokens(), people_tables.tokens)


@app.command("list")
def list_tokens(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List tokens: whose they are, what they are good for, and until when."""
    console.show(connect().list_tokens(user), people_tables.tokens)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.", parser=non_empty, show_default=False)],
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Whose; default: yours.")] = None,
    scope: Annotated[
        Scope, typer.Option("--scope", help="See and fetch; and submit and steer; or all that the user may.")
    ] = Scope.WORK,
    days: Annotated[float, typer.Option("--days", metavar="N", min=0, help="How long it is good; 0: for ever.")] = 90.0,
) -> None:
    """Make a token and print it, this once."""
    lasts_s = days * 86_400 or None
    console.show(connect().create_token(name, user=user, scope=scope, lasts_s=lasts_s), people_tables.new_token)


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="Its id: see `tokens list`.", show_default=False)]) -> None:
    """Make a token good for nothing, from now on."""
    console.show(connect().revoke_token(token), lambda revoked: f"Token {revoked.id} ({revoked.name}) is revoked.")
