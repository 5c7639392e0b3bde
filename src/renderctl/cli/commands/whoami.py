"""`renderctl whoami`."""

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, people_tables

app = typer.Typer(add_completion=False)


@app.command()
def whoami() -> None:
    """Show your user, your role and how you are logged in."""
    console.show(people_tables.whoami_document(connect().whoami()), people_tables.me)
