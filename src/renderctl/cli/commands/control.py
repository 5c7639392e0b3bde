"""`renderctl cancel`, `pause`, `resume`, `retry` and `priority`."""

from typing import TYPE_CHECKING, Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, job_tables, table
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.client.jobs import JobRef
    from renderctl.core.jobs import Job
    from renderctl.wiring import Commands

app = typer.Typer(add_completion=False)
JobArgument = Annotated[
    str, typer.Argument(help="An id, a unique beginning of one, or a unique name.", show_default=False)
]


@app.command()
def cancel(job: JobArgument) -> None:
    """Stop a job: queued frames never start, running ones are stopped, finished ones are kept."""
    connection = connect()
    _show(connection, connection.cancel(job))


@app.command()
def pause(job: JobArgument) -> None:
    """Let running frames finish and start no more."""
    connection = connect()
    _show(connection, connection.pause(job))


@app.command()
def resume(job: JobArgument) -> None:
    """Continue a paused job, on any worker of its pool."""
    connection = connect()
    _show(connection, connection.resume(job))


@app.command(context_settings={"ignore_unknown_options": True})
def priority(
    job: JobArgument, value: Annotated[int, typer.Argument(help="0 to 10; 10 is first.", show_default=False)]
) -> None:
    """Change a job's priority, from its next turn on."""
    connection = connect()
    _show(connection, connection.priority(job, value))


@app.command()
def retry(
    job: JobArgument,
    frames: Annotated[
        str | None,
        typer.Option("--frames", "-f", metavar="FRAMES", help="Render these frames again, even if they succeeded."),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Retry all failed or canceled frames (the default).")
    ] = False,
) -> None:
    """Render failed or canceled frames again, or the given ones."""
    if frames is not None and failed:
        raise UsageError("--frames and --failed exclude each other.")
    connection = connect()
    again, count = connection.retry(job, frames)
    console.note(f"Queued again: {table.counted(count, 'task')}.")
    console.show(connection.status(again.id, cached=False), job_tables.job_line)


def _show(connection: "Commands", job: "Job | JobRef") -> None:
    """How the job stands now."""
    console.show(connection.status(job.id, cached=False), job_tables.job_line)
