"""`renderctl serve`."""

from typing import Annotated

import typer

from renderctl.cli.context import connect_directly
from renderctl.cli.logging import log_to_stderr
from renderctl.cli.ui import console

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Address to listen on; default: 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Port to listen on; default: 8650; 0: any free one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the farm over HTTP, an API and pages for a browser, for everybody with a token or a password.

    /api/v1/openapi.json describes it. It speaks plain HTTP: put a proxy that speaks TLS in front of it before you let
    others than this machine reach it.
    """
    log_to_stderr()
    connection = connect_directly()
    settings = connection.settings.serve
    if settings.is_unencrypted(host):
        from renderctl.farm.doctor.machine import IN_THE_CLEAR

        console.warn(f"Warning: {IN_THE_CLEAR}")
    from renderctl.server.runner import serve as serving

    serving(connection, host or settings.host, settings.port if port is None else port, _ready)


def _ready(address: str) -> None:
    console.note(f"Serving at {address}. Ctrl-C ends it.")
