"""`renderctl init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderctl import wiring
from renderctl.cli.context import connect
from renderctl.cli.prompts import new_password
from renderctl.cli.ui import console, people_tables
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.farm.admin.compose_init import Composed

app = typer.Typer(add_completion=False)


@app.command()
def init(
    path: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: the user's config folder.", show_default=False),
    ] = None,
    compose: Annotated[
        Path | None,
        typer.Option(
            "--compose", metavar="DIR", help="Write .env (or what it lacks) and renderctl.yaml into this folder."
        ),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option("--admin", metavar="NAME", help="Add the first admin of the configured farm."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing config; never .env.")] = False,
) -> None:
    """Write a config file with every setting; or passwords for the services of compose/; or add the first admin.

    With --compose, a .env that is there keeps what it has and gets what it lacks: run it again
    after an update. Not even --force replaces a secret there: services that have started know
    those alone.
    """
    if admin is not None:
        if path is not None or compose is not None or force:
            raise UsageError("--admin goes with no other option.")
        console.show(connect().add_first_admin(admin, new_password(admin)), people_tables.user)
        return
    if compose is not None:
        if path is not None:
            raise UsageError("--compose and --output exclude each other.")
        _tell(compose, wiring.write_compose(compose, force=force))
        return
    console.show({"config": wiring.write_config(path, force=force)}, lambda written: f"Wrote {written['config']}.")


def _tell(folder: Path, composed: "Composed") -> None:
    if composed.differing:
        hint = "Make them the same; --force writes the config anew, from .env."
        console.note(f"{folder / 'renderctl.yaml'} differs from .env in {', '.join(composed.differing)}. {hint}")
    console.show(composed, _done)


def _done(composed: "Composed") -> str:
    lines = [f"Wrote {path}." for path in composed.files]
    lines += [f"New in .env: {', '.join(composed.added)}."] if composed.added else []
    return "\n".join(lines) or "Nothing is missing: the files are left as they are."
