"""`renderctl quota`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.params import non_empty
from renderctl.cli.ui import console, people_tables

app = typer.Typer(add_completion=False)


@app.command()
def quota(
    user: Annotated[str | None, typer.Option(metavar="NAME", parser=non_empty, help="Of this user.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", parser=non_empty, help="Of this project.")] = None,
) -> None:
    """Say what a user or a project uses of the farm, and may use; by default you and your projects.

    Limits hold for whoever comes through a server; an admin sets them in its config (quota).
    """
    console.show(connect().quota(user=user, project=project), people_tables.quotas)
