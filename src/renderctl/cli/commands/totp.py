"""`renderctl users totp`."""

from typing import Annotated

import typer

from renderctl.cli import prompts
from renderctl.cli.context import connect
from renderctl.cli.ui import console, people_tables
from renderctl.core.actors import Via

app = typer.Typer(add_completion=False, name="totp", help="Second factors: codes from an app besides the password.")
User = Annotated[str, typer.Argument(help="A user's name.", show_default=False)]


@app.command()
def status(name: User) -> None:
    """Show whether a user has a second factor, and how many recovery codes are left."""
    console.show(connect().totp_status(name), people_tables.totp_status)


@app.command()
def enable(name: User) -> None:
    """Print the secret of a new second factor for an app; `confirm` activates it. On a server: only your own."""
    console.show(connect().enroll_totp(name, password=_own_password(name)), people_tables.totp_enrollment)


@app.command()
def confirm(name: User) -> None:
    """Enter a code of the new second factor, prompted for or read from standard input; print recovery codes."""
    console.show(connect().confirm_totp(name, prompts.code()), people_tables.recovery_codes)


@app.command()
def disable(name: User) -> None:
    """Remove a second factor: your own, or another user's as an admin."""
    console.show(connect().disable_totp(name, password=_own_password(name)), people_tables.totp_status)


def _own_password(name: str) -> str | None:
    """One's own password, where it is shown: through a server, about oneself."""
    who = connect().actor
    return prompts.password("Password") if who.name == name and who.via != Via.LOCAL else None
