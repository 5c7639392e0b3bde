"""`renderctl projects`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, people_tables

app = typer.Typer(
    add_completion=False,
    name="projects",
    help="List projects, and manage their members.",
    invoke_without_command=True,
)
Project = Annotated[str, typer.Argument(help="A project's name.", show_default=False)]
Users = Annotated[list[str], typer.Argument(metavar="USER...", show_default=False)]


@app.callback()
def projects(context: typer.Context) -> None:
    """List projects, and manage their members."""
    if context.invoked_subcommand is None:
        console.show(connect().list_projects(), people_tables.projects)


@app.command("list")
def list_projects() -> None:
    """List projects: their members and pools."""
    console.show(connect().list_projects(), people_tables.projects)


@app.command()
def add(
    name: Project,
    pool: Annotated[
        list[str] | None,
        typer.Option(
            "--pool", metavar="NAME", parser=non_empty, help="A pool that its artists may submit to (repeatable)."
        ),
    ] = None,
) -> None:
    """Add a project; without --pool its artists may submit to any pool."""
    console.show(connect().add_project(name, tuple(pool or ())), people_tables.project)


@app.command()
def pools(
    name: Project, pool: Annotated[list[str] | None, typer.Argument(metavar="[POOL]...", show_default=False)] = None
) -> None:
    """Set the pools that its artists may submit to; none: any pool."""
    console.show(connect().set_pools(name, tuple(pool or ())), people_tables.project)


@app.command()
def join(name: Project, users: Users) -> None:
    """Make users members: they see all of the project."""
    console.show(connect().join_project(name, users), people_tables.project)


@app.command()
def leave(name: Project, users: Users) -> None:
    """Remove users from a project; they keep their own jobs."""
    console.show(connect().leave_project(name, users), people_tables.project)
