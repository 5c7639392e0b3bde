"""`renderctl init`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl import wiring
from renderctl.cli import output

app = typer.Typer(add_completion=False)


@app.command()
def init(
    path: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: the user's config folder.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a config file with every setting, its default and unit."""
    output.show({"config": wiring.write_config(path, force=force)}, lambda written: f"Wrote {written['config']}.")
