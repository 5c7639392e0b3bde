"""`renderctl doctor`."""

import typer

from renderctl.cli import output, views
from renderctl.cli.invocation import connect
from renderctl.errors import BadSettings

app = typer.Typer(add_completion=False)


@app.command()
def doctor() -> None:
    """Check every configured part: config, folders, database, store, queue, cache, executor, and each Blender."""
    from renderctl.farm.doctor import Finding

    try:
        findings = connect().doctor()
    except BadSettings as error:
        findings = [Finding("config", False, error.message, error.hint)]
    output.show(findings, views.findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(8)
