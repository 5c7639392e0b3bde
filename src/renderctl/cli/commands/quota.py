"""`renderctl quota`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, people_tables

app = typer.Typer(add_completion=False)


@app.command()
def quota(
    user: Annotated[str | None, typer.Option(metavar="NAME", parser=non_empty, help="Show this user's.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", parser=non_empty, help="Show this project's.")] = None,
) -> None:
    """Show what a user or project uses of the farm, and its limits; by default you and your projects.

    The limits apply to everybody who uses a server; an admin sets them in its config (quota).
    """
    console.show(connect().quota(user=user, project=project), people_tables.quotas)
