"""`renderctl doctor`."""

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, farm_tables
from renderctl.core.errors import BadSettings

app = typer.Typer(add_completion=False)


@app.command()
def doctor() -> None:
    """Check every configured part: config, folders, database, store, queue, cache, executor, Blenders, workers, sweep.

    A part that works and could be better is marked with an exclamation mark; what is broken ends with exit code 8.
    """
    from renderctl.farm.doctor import Finding

    console.note("Trying every part. One that does not answer takes up to a minute.")
    try:
        findings = connect().doctor()
    except BadSettings as error:
        findings = [Finding("config", False, error.message, error.hint)]
    console.show(findings, farm_tables.findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(8)
