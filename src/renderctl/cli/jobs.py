"""`renderctl jobs`, `status` and `watch`."""

import sys
from typing import Annotated

import typer

from renderctl.cli import invocation, output, views
from renderctl.cli.following import end_as, watched
from renderctl.cli.invocation import connect
from renderctl.cli.progress import watch_view
from renderctl.cli.values import seconds
from renderctl.errors import UsageError

app = typer.Typer(add_completion=False)
Job = Annotated[str, typer.Argument(help="An id, a unique beginning of one, or a unique name.", show_default=False)]


@app.command()
def jobs(
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state (repeatable).")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only this user's.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only yours.")] = False,
    project: Annotated[str | None, typer.Option("--project", metavar="NAME", help="Only of this project.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most so many.", min=1, max=1_000_000)] = 50,
) -> None:
    """List jobs, the newest first."""
    if mine and owner is not None:
        raise UsageError("--mine and --owner exclude each other.")
    connection = connect()
    owner = connection.actor.name if mine else owner
    output.show(connection.jobs(tuple(state or ()), owner=owner, project=project, limit=limit), views.jobs)


@app.command()
def status(job: Job) -> None:
    """Say where a job stands, and why it waits."""
    output.show(connect().status(job), views.job)


@app.command()
def watch(
    job: Job,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", parser=seconds, help="Watch at most so long.")
    ] = None,
) -> None:
    """Follow a job until it ends; the exit code says how it did. With --json: a document a line, at every change."""
    connection, document = connect(), {}
    job_id = connection.status(job, cached=False)["id"]
    with watch_view() as show:
        for document in watched(connection, job_id, timeout_s=timeout):
            show(document)
    if sys.stdout.isatty() and not invocation.current.json:
        output.show(document, views.job)
    end_as(document)
