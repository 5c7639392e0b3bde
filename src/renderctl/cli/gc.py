"""`renderctl gc`."""

from typing import Annotated

import typer

from renderctl.cli import output, views
from renderctl.cli.invocation import connect
from renderctl.cli.values import hours

app = typer.Typer(add_completion=False)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace", metavar="HOURS", parser=hours, help="Keep what was stored less long ago.", show_default=False
        ),
    ] = None,
) -> None:
    """Remove from the store what nothing points to. Safe at any time; exit code 1: the store lacks what it should have.

    What a removed model or job has left goes, and logs of attempts that there are no more. Nothing goes that was stored
    within the grace (retention.grace_hours, 24), or that somebody has asked for in the last day.
    """
    found = connect().collect(grace_hours=grace, dry_run=dry_run)
    output.show(found, views.collected)
    if found.missing:
        output.warn("The files above are lost: upload the models again, render the frames again with `retry`.")
        raise typer.Exit(1)
