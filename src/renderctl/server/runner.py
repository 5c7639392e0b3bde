"""The server process: uvicorn, with the limits of the settings."""

import logging
import resource
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from renderctl.core.errors import Unreachable
from renderctl.core.settings.groups import ServeSettings
from renderctl.server.app import create_app
from renderctl.server.connection_limits import ConnectionRegistry, Limits
from renderctl.server.protocol import GuardedConfig
from renderctl.wiring import LocalCommands

#: Seconds that open requests have to end when the server stops.
_SHUTDOWN_S = 5
#: Open files besides those of connections: of the database, the store and uploads.
_OTHER_FILES = 1024


def serve(commands: LocalCommands, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `on_ready` gets the address. Raises Unreachable, DatabaseOutdated."""
    app = create_app(commands)
    app.state.parts.require_database()  # its errors belong to the command, not to a request
    config = server_config(app, commands.settings.serve, host, port)
    _allow_files(commands.settings.serve.connections)
    url_host = f"[{host}]" if ":" in host else host
    with _listen(host, port, config.backlog) as listener:  # who reads the address may connect at once
        on_ready(f"http://{url_host}:{listener.getsockname()[1]}")
        _Server(config, app).run(sockets=[listener])


def server_config(
    app: Any, serve: ServeSettings, host: str, port: int, *, shutdown_s: int = _SHUTDOWN_S
) -> GuardedConfig:
    """How uvicorn serves the application, with the limits of the settings."""
    limits = Limits(
        serve.header_timeout, serve.send_timeout, serve.connections, serve.connections_per_address, serve.proxies
    )
    return GuardedConfig(
        app,
        ConnectionRegistry(limits),
        host=host,
        port=port,
        log_config=None,
        access_log=logging.getLogger("uvicorn.access").isEnabledFor(logging.DEBUG),
        server_header=False,
        proxy_headers=bool(serve.proxies),
        forwarded_allow_ips=list(serve.proxies),
        timeout_graceful_shutdown=shutdown_s,
    )


def _allow_files(connections: int) -> None:
    """Raise the limit of open files to what the connections need, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        hint = "--host must be an address of this machine, and --port one that is free."
        raise Unreachable(
            f"The server cannot listen at {host}, port {port}: {error.strerror or error}.", hint=hint
        ) from error


class _Server(uvicorn.Server):
    """Ends the event streams when it stops, and stops at once at the second signal. To be stopped is no error.

    A signal handler may interrupt another one anywhere, so it takes no lock: the loop sets the event, which takes one.
    """

    def __init__(self, config: uvicorn.Config, app: Any) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.stopping.set()
        await super().shutdown(sockets)
