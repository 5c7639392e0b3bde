"""`renderctl login` and `logout`."""

import sys
from typing import Annotated

import typer

from renderctl import wiring
from renderctl.cli import prompts
from renderctl.cli.context import in_the_clear
from renderctl.cli.ui import console
from renderctl.core.errors import CodeNeeded, UsageError

app = typer.Typer(add_completion=False)


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The address of the server.", show_default=False)],
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="NAME",
            help="Log in with a password, from a prompt or standard input.",
        ),
    ] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read a token from standard input.")] = False,
) -> None:
    """Use a server from now on, with a token in the keyring, else in a file that only you can read.

    With a second factor, its code is prompted for, too, or read from the next line of standard input. Without --user
    the token is prompted for: `renderctl tokens create` creates one. A config that names the services of a farm keeps
    using them.
    """
    if token_stdin and user is not None:
        raise UsageError("--token-stdin and --user exclude each other.")
    if url.startswith("http://") and wiring.is_unencrypted(url):
        console.warn(in_the_clear(url))
    password = prompts.password("Password") if user is not None else None
    token = None if user is not None else _token(token_stdin)
    try:
        actor, where = wiring.log_in(url, token=token, user=user, password=password)
    except CodeNeeded:
        code = prompts.code()
        actor, where = wiring.log_in(url, user=user, password=password, code=code)
    result = {"name": actor.name, "role": actor.role, "url": url, "kept_in": where}
    console.show(
        result, lambda done: f"Logged in as {done['name']} ({done['role']}). The token is in {done['kept_in']}."
    )


@app.command()
def logout() -> None:
    """Forget the server, and revoke the token there."""
    result = {"url": wiring.log_out()}
    console.show(result, lambda done: f"Logged out of {done['url']}." if done["url"] else "You were not logged in.")


def _token(from_stdin: bool) -> str:
    token = sys.stdin.readline() if from_stdin else typer.prompt("Token", hide_input=True, err=True)
    if not token.strip():
        raise UsageError("The token is empty.")
    return str(token).strip()
