"""`renderctl users totp`."""

from typing import Annotated

import typer

from renderctl.actors import Via
from renderctl.cli import asking, output, peopleviews
from renderctl.cli.invocation import connect

app = typer.Typer(add_completion=False, name="totp", help="Second factors: codes of an app, besides the password.")
User = Annotated[str, typer.Argument(help="A user's name.", show_default=False)]


@app.command()
def status(name: User) -> None:
    """Say whether a user has a second factor, and how many recovery codes are left."""
    output.show(connect().totp_status(name), peopleviews.totp_status)


@app.command()
def enable(name: User) -> None:
    """Print the secret of a new second factor for an app; `confirm` makes it count. On a server: your own alone."""
    output.show(connect().enroll_totp(name, password=_own_password(name)), peopleviews.totp_enrollment)


@app.command()
def confirm(name: User) -> None:
    """Show a code of the new second factor, asked for or the first line of standard input; print recovery codes."""
    output.show(connect().confirm_totp(name, asking.code()), peopleviews.recovery_codes)


@app.command()
def disable(name: User) -> None:
    """Have the password alone let a user in: you yourself, or another one as an admin."""
    output.show(connect().disable_totp(name, password=_own_password(name)), peopleviews.totp_status)


def _own_password(name: str) -> str | None:
    """One's own password, where it is shown: through a server, about oneself."""
    who = connect().actor
    return asking.password("Password") if who.name == name and who.via != Via.LOCAL else None
