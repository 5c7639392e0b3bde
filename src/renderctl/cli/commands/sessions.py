"""`renderctl sessions`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, people_tables
from renderctl.core.errors import UsageError

app = typer.Typer(
    add_completion=False, name="sessions", help="List and end browser sessions.", invoke_without_command=True
)


@app.callback()
def sessions(context: typer.Context) -> None:
    """List and end browser sessions."""
    if context.invoked_subcommand is None:
        console.show(connect().list_sessions(), people_tables.sessions)


@app.command("list")
def list_sessions(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List browser sessions: their user, and when and from where they were begun and last seen."""
    console.show(connect().list_sessions(user), people_tables.sessions)


@app.command()
def end(
    session: Annotated[
        str | None, typer.Argument(help="A session's id: see `sessions list`.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All sessions: yours, or those of --user.")] = False,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="With --all: end this user's sessions.")
    ] = None,
) -> None:
    """End a browser session, or all sessions of a user, until they log in again."""
    if every == (session is not None):
        raise UsageError("Name one session, or say --all.")
    if user is not None and not every:
        raise UsageError("--user goes with --all.")
    ended = connect().end_sessions(user) if session is None else [connect().end_session(session)]
    console.show(ended, people_tables.ended_sessions)
