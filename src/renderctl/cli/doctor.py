"""`renderctl doctor`."""

import typer

from renderctl.cli import output, views
from renderctl.cli.invocation import connect

app = typer.Typer(add_completion=False)


@app.command()
def doctor() -> None:
    """Check every configured part: folders, database, store, queue, cache, executor, each Blender."""
    findings = connect().doctor()
    output.show(findings, views.findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(8)
