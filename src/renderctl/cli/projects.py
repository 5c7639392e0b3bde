"""`renderctl projects`."""

from typing import Annotated

import typer

from renderctl.cli import output, peopleviews
from renderctl.cli.invocation import connect
from renderctl.cli.values import some_text

app = typer.Typer(
    add_completion=False,
    name="projects",
    help="List projects, and say who is in them.",
    invoke_without_command=True,
)
Project = Annotated[str, typer.Argument(help="A project's name.", show_default=False)]
Users = Annotated[list[str], typer.Argument(metavar="USER...", show_default=False)]


@app.callback()
def projects(context: typer.Context) -> None:
    """List projects, and say who is in them."""
    if context.invoked_subcommand is None:
        output.show(connect().list_projects(), peopleviews.projects)


@app.command("list")
def list_projects() -> None:
    """List projects: their members and pools."""
    output.show(connect().list_projects(), peopleviews.projects)


@app.command()
def add(
    name: Project,
    pool: Annotated[
        list[str] | None,
        typer.Option("--pool", metavar="NAME", parser=some_text, help="Its artists submit to this one (repeatable)."),
    ] = None,
) -> None:
    """Add a project; without --pool its artists submit to any."""
    output.show(connect().add_project(name, tuple(pool or ())), peopleviews.project)


@app.command()
def pools(
    name: Project, pool: Annotated[list[str] | None, typer.Argument(metavar="[POOL]...", show_default=False)] = None
) -> None:
    """Say which pools its artists submit to; none: to any."""
    output.show(connect().set_pools(name, tuple(pool or ())), peopleviews.project)


@app.command()
def join(name: Project, users: Users) -> None:
    """Make users members: they see all of the project."""
    output.show(connect().join_project(name, users), peopleviews.project)


@app.command()
def leave(name: Project, users: Users) -> None:
    """They are members no longer; their own jobs they keep."""
    output.show(connect().leave_project(name, users), peopleviews.project)
