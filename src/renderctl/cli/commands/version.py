"""`renderctl version`, and `--version`."""

import typer

from renderctl import __version__
from renderctl.cli.ui import console

app = typer.Typer(add_completion=False)


@app.command()
def version() -> None:
    """Show the version of renderctl."""
    console.show({"version": __version__}, lambda known: f"renderctl {known['version']}")
