"""`renderctl quota`."""

from typing import Annotated

import typer

from renderctl.cli import output, peopleviews
from renderctl.cli.invocation import connect
from renderctl.cli.values import some_text

app = typer.Typer(add_completion=False)


@app.command()
def quota(
    user: Annotated[str | None, typer.Option(metavar="NAME", parser=some_text, help="Of this user.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", parser=some_text, help="Of this project.")] = None,
) -> None:
    """Say what a user or a project uses of the farm, and may use; by default you and your projects.

    Limits hold for whoever comes through a server; an admin sets them in its config (quota).
    """
    output.show(connect().quota(user=user, project=project), peopleviews.quotas)
