"""`renderctl trust`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderctl import wiring
from renderctl.cli.ui import console
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.farm.admin.trusted_configs import ApprovedConfig, TrustedConfig

app = typer.Typer(add_completion=False)


@app.command()
def trust(
    file: Annotated[
        Path | None, typer.Argument(help="A config; default: ./renderctl.yaml.", show_default=False)
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the configs that you have approved.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Withdraw the approval.")] = False,
) -> None:
    """Approve the renderctl.yaml of a folder as it is now: it may name programs and servers to use.

    Read it first. When it changes it needs your approval again. A config that is named with --config
    or RENDERCTL_CONFIG needs none, nor does the one in your config folder.
    """
    trusted = wiring.trusted_configs()
    if listed:
        if remove or file is not None:
            raise UsageError("--list goes with nothing else.")
        console.show(trusted.list(), _table)
    elif remove:
        console.show({"config": trusted.remove(file)}, lambda done: f"{done['config']} is approved no longer.")
    else:
        console.show(trusted.approve(file), _approved)


def _approved(done: "ApprovedConfig") -> str:
    return f"Approved {done.config}. It sets {', '.join(done.sets) or 'nothing'}."


def _table(configs: "list[TrustedConfig]") -> str:
    words = {"approved": "", "changed": "  (has changed since)", "unknown": "  (is gone)"}
    return "\n".join(f"{config.config}{words[config.state]}" for config in configs) or "You have approved no config."
