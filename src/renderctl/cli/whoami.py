"""`renderctl whoami`."""

import typer

from renderctl.cli import output, peopleviews
from renderctl.cli.invocation import connect

app = typer.Typer(add_completion=False)


@app.command()
def whoami() -> None:
    """Say who you are to the farm, what you may do, and how you came."""
    output.show(peopleviews.whoami_document(connect().whoami()), peopleviews.me)
