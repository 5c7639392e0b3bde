"""`renderctl logs`."""

import threading
from typing import Annotated

import typer

from renderctl.cli import context
from renderctl.cli.context import connect
from renderctl.cli.ui import console, job_tables

app = typer.Typer(add_completion=False)


@app.command()
def logs(
    job: Annotated[str, typer.Argument(help="A job.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until the job ends.")] = False,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="A task's id or its number in the job.")
    ] = None,
) -> None:
    """Show what Blender printed: for what runs, else for what failed last. The exact command comes first."""
    connection = connect()
    parts = connection.follow(job, task, stop=threading.Event()) if follow else connection.logs(job, task)
    if context.current.json and not follow:
        console.show_list(parts)
        return
    shown = None if follow or task else ""  # one log alone needs no heading
    for part in parts:
        if context.current.json:
            console.show_line(part)
            continue
        if shown != "" and part.attempt.id != shown:
            console.show_text(job_tables.log_heading(part.attempt))
            shown = part.attempt.id
        console.show_text(part.text)
