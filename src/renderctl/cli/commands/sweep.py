"""`renderctl sweep`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, farm_tables

app = typer.Typer(add_completion=False)


@app.command()
def sweep(
    now: Annotated[
        bool, typer.Option("--now", help="Make one pass: don't wait until silent workers count as lost.")
    ] = False,
) -> None:
    """Repair what crashed, now. Workers do this all the time; use it on a farm where none is running."""
    connection = connect()
    if not now:
        limit = connection.settings.worker.heartbeat_limit
        console.note(f"Workers have {limit:g} s to report before they count as lost.")
    console.show(connection.sweep_here(wait=not now), farm_tables.swept)
