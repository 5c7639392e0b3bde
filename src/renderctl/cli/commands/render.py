"""`renderctl render`."""

import gc
import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderctl.cli.context import connect, start_ahead
from renderctl.cli.logging import log_to_stderr
from renderctl.cli.options import is_default, with_render_options
from renderctl.cli.prompts import about_outside
from renderctl.cli.signals import interruptible
from renderctl.cli.ui import console, job_tables
from renderctl.cli.ui.progress import render_listener
from renderctl.cli.ui.waiting import exit_like
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.farm.jobs.submit import SubmitRequest

app = typer.Typer(add_completion=False)


@app.command()
@with_render_options
def render(
    request: "SubmitRequest",
    scene: Annotated[str | None, typer.Argument(help="A .blend file, or the name of a model.")] = None,
    directory: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the images; they go into a subfolder with the job's name."
        ),
    ] = Path("renders"),
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Continue an interrupted job.")] = None,
    slots: Annotated[
        int | None, typer.Option("--slots", metavar="N", min=1, help="Frames at a time. Default: 1.")
    ] = None,
) -> None:
    """Render a scene on this machine: upload, queue, render with a warm Blender, check, and put the images in place."""
    _require_one(scene, job, request)
    request = replace(request, on_outside=about_outside(request.on_outside))
    log_to_stderr(logging.WARNING, tasks=False)  # what becomes of a frame is shown as it happens
    connection = connect()
    with interruptible() as stop, ExitStack() as started:
        ahead = start_ahead(connection, scene) if scene is not None else None
        if ahead is not None:
            started.callback(ahead.close)
            ahead.prepare()
        render_job = connection.render  # imports what is heavy while Blender starts
        from renderctl.farm.render import RenderRequest

        gc.freeze()
        gc.enable()
        with render_listener() as listener:
            done = render_job(RenderRequest(directory, scene, job, request, slots, ahead), stop=stop, listener=listener)
    document: job_tables.FetchedStatus = {**done.document, "folder": done.folder, "files": done.files}
    console.show(document, job_tables.rendered)
    exit_like(done.document)


def _require_one(scene: str | None, job: str | None, request: "SubmitRequest") -> None:
    if (scene is None) == (job is None):
        raise UsageError("`render` takes either a scene, or --job JOB to go on with.")
    if job is not None and not is_default(request):
        raise UsageError("--job goes on with the job as it was asked for: only -o and --slots go with it.")
