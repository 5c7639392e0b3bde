"""`renderctl init`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl import wiring
from renderctl.cli import output, peopleviews
from renderctl.cli.asking import new_password
from renderctl.cli.invocation import connect
from renderctl.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def init(
    path: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: the user's config folder.", show_default=False),
    ] = None,
    compose: Annotated[
        Path | None,
        typer.Option("--compose", metavar="DIR", help="Write .env and renderctl.yaml for compose/compose.yaml there."),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option("--admin", metavar="NAME", help="Add the first admin to the farm that the config names."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a config file with every setting; or passwords for the services of compose/; or add the first admin."""
    if admin is not None:
        if path is not None or compose is not None or force:
            raise UsageError("--admin goes with no other option.")
        output.show(connect().add_first_admin(admin, new_password(admin)), peopleviews.user)
        return
    if compose is not None:
        if path is not None:
            raise UsageError("--compose and --output exclude each other.")
        files = wiring.write_compose(compose, force=force)
        output.show({"files": files}, lambda written: "\n".join(f"Wrote {each}." for each in written["files"]))
        return
    output.show({"config": wiring.write_config(path, force=force)}, lambda written: f"Wrote {written['config']}.")
