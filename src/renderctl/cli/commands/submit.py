"""`renderctl submit`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.options import with_render_options
from renderctl.cli.params import non_empty, seconds
from renderctl.cli.prompts import about_outside
from renderctl.cli.ui import console, job_tables
from renderctl.cli.ui.progress import advancing
from renderctl.cli.ui.waiting import exit_like, wait_for
from renderctl.core.errors import UsageError
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.farm.models.upload import UploadOptions

if TYPE_CHECKING:
    from renderctl.core.job_status import JobStatus
    from renderctl.wiring import Commands

app = typer.Typer(add_completion=False)


@app.command()
@with_render_options
def submit(
    request: SubmitRequest,
    scene: Annotated[
        str, typer.Argument(help="A .blend file, or MODEL[@VERSION].", parser=non_empty, show_default=False)
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job ends; the exit code says how.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", parser=seconds, help="Stop waiting after this time.")
    ] = None,
    download: Annotated[
        Path | None, typer.Option("--download", metavar="DIR", help="Wait, and download the images into this folder.")
    ] = None,
    cancel_on_interrupt: Annotated[
        bool, typer.Option("--cancel-on-interrupt", help="Cancel the job on Ctrl-C while waiting.")
    ] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Queue the job paused.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require", metavar="TAG", parser=non_empty, help="Only workers with this tag may render it (repeatable)."
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Create the job only once for this key.")
    ] = None,
) -> None:
    """Queue a scene or a model; workers of its pool render it."""
    wait = wait or download is not None
    if not wait and (timeout is not None or cancel_on_interrupt):
        raise UsageError("--timeout and --cancel-on-interrupt go with --wait or --download.")
    connection = connect()
    request = replace(
        request,
        paused=paused,
        requires=tuple(require or ()),
        idempotency_key=idempotency_key,
        on_outside=about_outside(request.on_outside),
    )
    document = connection.status(_submitted(connection, scene, request), cached=False)
    if wait:
        document = wait_for(connection, document, timeout_s=timeout, cancel_on_interrupt=cancel_on_interrupt)
    if download is not None:
        console.show(_fetched(connection, document, download), job_tables.fetched)
    else:
        console.show(document, job_tables.submitted)
    if wait:
        exit_like(document)


def _submitted(connection: "Commands", scene: str, request: SubmitRequest) -> str:
    """The id of the job."""
    with advancing() as on_advance:
        options = UploadOptions(request.options.allow_missing, request.project, request.on_outside)
        model, notes = connection.model_of(scene, options, on_advance=on_advance)
    submitted = connection.submit(model, request)
    for text in (*notes, *submitted.notes):
        console.note(text)
    return submitted.job.id


def _fetched(connection: "Commands", document: "JobStatus", directory: Path) -> "job_tables.FetchedStatus":
    """The job's document, with where its images are now."""
    with advancing() as on_advance:
        fetched = connection.download(document["id"], directory, on_advance=on_advance)
    return {**document, "folder": fetched.folder, "files": fetched.files}
