"""`renderctl database`."""

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console

app = typer.Typer(add_completion=False, name="database", help="Upgrade the database.")


@app.callback()
def database() -> None:
    """Upgrade the database."""


@app.command()
def upgrade() -> None:
    """Upgrade the database to the revision of this renderctl; stop the workers first."""
    revision = connect().upgrade_database()
    console.show({"revision": revision}, lambda done: f"The database is at revision {done['revision']}.")
