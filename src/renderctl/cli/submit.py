"""`renderctl submit`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from renderctl.cli import output, views
from renderctl.cli.following import end_as, wait_for
from renderctl.cli.invocation import connect
from renderctl.cli.options import with_render_options
from renderctl.cli.progress import advancing

app = typer.Typer(add_completion=False)


@app.command()
@with_render_options
def submit(
    request: Any,
    scene: Annotated[str, typer.Argument(help="A .blend file, or MODEL[@VERSION].", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Until the job ends; the exit code says how.")] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="Wait at most so long.")] = None,
    download: Annotated[
        Path | None, typer.Option("--download", metavar="DIR", help="Wait, and fetch the images into this folder.")
    ] = None,
    cancel_on_interrupt: Annotated[
        bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C while waiting cancels the job.")
    ] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Queue it paused.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key makes the same job, once.")
    ] = None,
) -> None:
    """Queue a scene or a model; workers of its pool render it."""
    connection = connect()
    request = replace(request, paused=paused, idempotency_key=idempotency_key)
    with advancing() as on_advance:
        model, notes = connection.model_of(scene, request.options.allow_missing, on_advance=on_advance)
    submitted = connection.submit(model, request)
    for each in (*notes, *submitted.notes):
        output.note(each)
    document = connection.status(submitted.job.id, cached=False)
    if wait or download:
        document = wait_for(connection, document, timeout_s=timeout, cancel_on_interrupt=cancel_on_interrupt)
    if download:
        with advancing() as on_advance:
            fetched = connection.download(submitted.job.id, download, on_advance=on_advance)
        document = {**document, "folder": fetched.folder, "files": fetched.files}
    output.show(document, views.submitted)
    if wait or download:
        end_as(document)
