"""`renderctl database`."""

import typer

from renderctl.cli import output
from renderctl.cli.invocation import connect

app = typer.Typer(add_completion=False, name="database", help="Upgrade the database.")


@app.callback()
def database() -> None:
    """Upgrade the database."""


@app.command()
def upgrade() -> None:
    """Bring the database to the revision that this renderctl needs; stop the workers first."""
    revision = connect().upgrade_database()
    output.show({"revision": revision}, lambda done: f"The database is at revision {done['revision']}.")
