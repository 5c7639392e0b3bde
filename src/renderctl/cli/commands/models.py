"""`renderctl models`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, job_tables

app = typer.Typer(
    add_completion=False, name="models", help="List, show and remove models.", invoke_without_command=True
)
Model = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or an id.", show_default=False)]


@app.callback()
def models(context: typer.Context) -> None:
    """List, show and remove models."""
    if context.invoked_subcommand is None:
        console.show(connect().list_models(), job_tables.models)


@app.command("list")
def list_models(name: Annotated[str | None, typer.Argument(help="Only versions of this model.")] = None) -> None:
    """List models, the newest first."""
    console.show(connect().list_models(name), job_tables.models)


@app.command("show")
def show_model(model: Model) -> None:
    """Show a model's facts: scenes, cameras, frames, engines, every file with size and hash."""
    console.show(connect().show_model(model), job_tables.model)


@app.command("rm")
def remove_model(model: Model) -> None:
    """Remove a model that no job uses."""
    console.show(connect().remove_model(model), lambda removed: f"Removed {removed.ref}.")
