"""`renderctl download`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl.cli import output, views
from renderctl.cli.invocation import connect
from renderctl.cli.progress import advancing

app = typer.Typer(add_completion=False)


@app.command()
def download(
    job: Annotated[str, typer.Argument(help="A job.", show_default=False)],
    directory: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the images go, in a folder of the job's name.")
    ] = Path("renders"),
) -> None:
    """Fetch a job's images: each whole and verified; those that are there already are kept."""
    with advancing() as on_advance:
        done = connect().download(job, directory, on_advance=on_advance)
    output.show(done, views.downloaded)
