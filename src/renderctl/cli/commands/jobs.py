"""`renderctl jobs`, `status` and `watch`."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from renderctl.cli import context
from renderctl.cli.context import connect
from renderctl.cli.params import age, seconds
from renderctl.cli.ui import console, job_tables, table
from renderctl.cli.ui.progress import watch_view
from renderctl.cli.ui.waiting import exit_like, follow_job
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.wiring import Commands

app = typer.Typer(add_completion=False)
all_jobs = typer.Typer(add_completion=False, name="jobs", help="List and remove jobs.", invoke_without_command=True)
app.add_typer(all_jobs)
Job = Annotated[str, typer.Argument(help="An id, a unique beginning of one, or a unique name.", show_default=False)]


@all_jobs.callback()
def jobs(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state (repeatable).")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only this user's.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own.")] = False,
    project: Annotated[str | None, typer.Option("--project", metavar="NAME", help="Only of this project.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Maximum number.", min=1, max=1_000_000)] = 50,
) -> None:
    """List jobs, the newest first; remove them."""
    if context.invoked_subcommand is not None:
        return
    if mine and owner is not None:
        raise UsageError("--mine and --owner exclude each other.")
    connection = connect()
    owner = connection.actor.name if mine else owner
    console.show(connection.jobs(tuple(state or ()), owner=owner, project=project, limit=limit), job_tables.jobs)


@all_jobs.command("rm")
def remove(
    refs: Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", show_default=False)] = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(
            "--older-than", metavar="AGE", parser=age, help="Jobs that ended at least this long ago: 30d, 12h."
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="With --older-than: only jobs in this state (repeatable)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Cancel jobs that have not ended first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Remove ended jobs with their images, tasks, attempts and logs. The next `gc` frees the store."""
    if bool(refs) == (older_than is not None) or (state and older_than is None):
        raise UsageError("Name the jobs to remove, or say --older-than (and --state, if you like).")
    connection = connect()
    selected: Sequence[str] = refs or ()
    if older_than is not None:
        selected = connection.select_jobs(older_than=older_than, states=tuple(state or ()))
        if selected and not (yes or dry_run):
            _confirm(connection, selected)
    removed = connection.remove_jobs(selected, force=force, dry_run=dry_run)
    done: job_tables.RemovedJobs = {"dry_run": dry_run, "jobs": removed}
    console.show(done, job_tables.removed)


def _confirm(connection: "Commands", found: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{table.counted(len(found), 'job')} would be removed.", hint="Say so with --yes.")
    sizes = connection.remove_jobs(found, dry_run=True)
    console.warn(job_tables.removed({"dry_run": True, "jobs": sizes}))
    typer.confirm("Remove them?", abort=True, err=True)


@app.command()
def status(job: Job) -> None:
    """Show a job's progress, and why it waits."""
    console.show(connect().status(job), job_tables.job)


@app.command()
def watch(
    job: Job,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", parser=seconds, help="Stop watching after this time."),
    ] = None,
) -> None:
    """Follow a job until it ends; the exit code says how. With --json: one document per line for each change."""
    connection = connect()
    document = connection.status(job, cached=False)
    job_id = document["id"]
    with watch_view() as show:
        for document in follow_job(connection, job_id, timeout_s=timeout):
            show(document)
    if sys.stdout.isatty() and not context.current.json:
        console.show(document, job_tables.job)
    exit_like(document)
