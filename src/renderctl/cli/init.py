"""`renderctl init`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl import wiring
from renderctl.cli import output
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
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a config file with every setting, its default and unit; or passwords for the services of compose/."""
    if compose is not None:
        if path is not None:
            raise UsageError("--compose and --output exclude each other.")
        files = wiring.write_compose(compose, force=force)
        output.show({"files": files}, lambda written: "\n".join(f"Wrote {each}." for each in written["files"]))
        return
    output.show({"config": wiring.write_config(path, force=force)}, lambda written: f"Wrote {written['config']}.")
