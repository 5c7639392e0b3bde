"""`renderctl download`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, job_tables
from renderctl.cli.ui.progress import advancing
from renderctl.core.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def download(
    job: Annotated[str, typer.Argument(help="A job.", show_default=False)],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the images; they go into a subfolder with the job's name. Default: renders.",
        ),
    ] = None,
    urls: Annotated[
        bool, typer.Option("--urls", help="Print public addresses of the images, and download nothing.")
    ] = False,
    expires: Annotated[
        float | None,
        typer.Option(
            "--expires", metavar="HOURS", min=0.01, max=168, help="How long the addresses are valid; default: 24."
        ),
    ] = None,
) -> None:
    """Fetch a job's images: each whole and verified; those that are there already are kept."""
    if urls and directory is not None:
        raise UsageError("--urls and --output exclude each other.")
    if expires is not None and not urls:
        raise UsageError("--expires goes with --urls.")
    if urls:
        console.show(connect().links(job, 3600 * (expires or 24.0)), job_tables.links)
        return
    with advancing() as on_advance:
        done = connect().download(job, directory or Path("renders"), on_advance=on_advance)
    console.show(done, job_tables.downloaded)
