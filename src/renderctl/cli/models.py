"""`renderctl models`."""

from typing import Annotated

import typer

from renderctl.cli import output, views
from renderctl.cli.invocation import connect

app = typer.Typer(
    add_completion=False, name="models", help="List, show and remove models.", invoke_without_command=True
)
Model = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or an id.", show_default=False)]


@app.callback()
def models(context: typer.Context) -> None:
    """List, show and remove models."""
    if context.invoked_subcommand is None:
        output.show(connect().list_models(), views.models)


@app.command("list")
def list_models(name: Annotated[str | None, typer.Argument(help="Only the versions of this one.")] = None) -> None:
    """List models, the newest first."""
    output.show(connect().list_models(name), views.models)


@app.command("show")
def show_model(model: Model) -> None:
    """Tell what is known of a model: scenes, cameras, frames, engines, every file with size and hash."""
    output.show(connect().show_model(model), views.model)


@app.command("rm")
def remove_model(model: Model) -> None:
    """Remove a model that no job uses."""
    output.show(connect().remove_model(model), lambda removed: f"Removed {removed.ref}.")
