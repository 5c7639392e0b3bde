"""`renderctl upload`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl.cli import prompts
from renderctl.cli.context import connect
from renderctl.cli.ui import console, job_tables
from renderctl.cli.ui.progress import advancing
from renderctl.farm.models.outside_files import include_outside as include_them
from renderctl.farm.models.outside_files import refuse_outside
from renderctl.farm.models.upload import UploadRequest

app = typer.Typer(add_completion=False)


@app.command()
def upload(
    scene: Annotated[Path, typer.Argument(help="A .blend file.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The model's name; default: the file's.")
    ] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Upload even if files are missing.")] = False,
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="NAME", help="The model's project; default: yours, if you are in one."),
    ] = None,
    include_outside: Annotated[
        bool, typer.Option("--include-outside", help="Include files outside the scene's folder.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file in the store, and resend lost ones.")
    ] = False,
) -> None:
    """Upload a scene with its textures, libraries, fonts, sounds and caches as a model, to render it in jobs."""
    on_outside = prompts.about_outside(include_them if include_outside else refuse_outside)
    request = UploadRequest(scene, name, allow_missing, verify, project, on_outside)
    with advancing() as on_advance:
        uploaded = connect().upload(request, on_advance=on_advance)
    for text in uploaded.notes:
        console.note(text)
    console.show(uploaded, job_tables.uploaded)
