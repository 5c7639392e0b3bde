"""`renderctl gc`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import hours
from renderctl.cli.ui import console, farm_tables
from renderctl.cli.ui.progress import advancing
from renderctl.core.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace", metavar="HOURS", parser=hours, help="Keep files stored within this time.", show_default=False
        ),
    ] = None,
    scrub: Annotated[
        bool,
        typer.Option("--scrub", help="Remove nothing: read a day's share of the files, and list damaged ones."),
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --scrub: read every file.")] = False,
) -> None:
    """Delete unreferenced files from the store. Safe at any time. Exit code 1: the store lacks files.

    What a removed model or job has left goes, and logs of attempts that there are no more. Nothing goes that was stored
    within the grace (retention.grace_hours, 24), or that somebody has asked for in the last day.
    """
    if every and not scrub:
        raise UsageError("--all goes with --scrub.")
    if scrub:
        _scrub(dry_run=dry_run, days=1 if every else None)
        return
    collected = connect().collect(grace_hours=grace, dry_run=dry_run)
    console.show(collected, farm_tables.collected)
    if collected.missing:
        console.warn("The files above are lost: upload the models again, render the frames again with `retry`.")
        raise typer.Exit(1)


def _scrub(*, dry_run: bool, days: int | None) -> None:
    if dry_run:
        raise UsageError("--scrub removes nothing: --dry-run does not go with it.")
    with advancing() as on_advance:
        scrubbed = connect().scrub(days=days, on_advance=on_advance)
    console.show(scrubbed, farm_tables.scrubbed)
    if scrubbed.damaged:
        console.warn("Upload the models above again, render the frames again with `retry`: both put the files anew.")
        raise typer.Exit(1)
