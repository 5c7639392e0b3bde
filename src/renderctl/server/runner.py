"""A process that serves."""

import logging
import resource
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from renderctl.core.errors import Unreachable
from renderctl.core.settings.groups import ServeSettings
from renderctl.server.app import create_app
from renderctl.server.connection_limits import Connections, Limits
from renderctl.server.protocol import GuardedConfig
from renderctl.wiring import LocalCommands

#: Seconds that open requests have when the server is told to leave.
_LEAVE_S = 5
#: Files that are open besides connections: of the database, the store, and what is sent.
_OTHER_FILES = 1024


def serve(connection: LocalCommands, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `on_ready` gets the address. Raises Unreachable, DatabaseOutdated."""
    app = create_app(connection)
    app.state.parts.require_database()  # what is wrong with it is said before anybody asks
    config = server_config(app, connection.settings.serve, host, port)
    _allow_files(connection.settings.serve.connections)
    shown = f"[{host}]" if ":" in host else host
    with _listening(host, port, config.backlog) as listener:  # whoever reads the address may ask at once
        on_ready(f"http://{shown}:{listener.getsockname()[1]}")
        _Server(config, app).run(sockets=[listener])


def server_config(app: Any, serve: ServeSettings, host: str, port: int, *, leave_s: int = _LEAVE_S) -> GuardedConfig:
    """How uvicorn serves the application, with the limits of the settings."""
    limits = Limits(
        serve.header_timeout, serve.send_timeout, serve.connections, serve.connections_per_address, serve.proxies
    )
    return GuardedConfig(
        app,
        Connections(limits),
        host=host,
        port=port,
        log_config=None,
        access_log=logging.getLogger("uvicorn.access").isEnabledFor(logging.DEBUG),
        server_header=False,
        proxy_headers=bool(serve.proxies),
        forwarded_allow_ips=list(serve.proxies),
        timeout_graceful_shutdown=leave_s,
    )


def _allow_files(connections: int) -> None:
    """As many files as there may be connections, and what else is open; as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listening(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        hint = "--host is an address of this machine, --port one that nobody else listens at."
        raise Unreachable(f"Nobody can listen at {host}, port {port}: {error.strerror or error}.", hint=hint) from error


class _Server(uvicorn.Server):
    """Tells the streams that it leaves: they would not end. Asked twice, it leaves at once; its end is no error.

    A handler may interrupt another one anywhere, so it takes no lock, as setting an event does: the loop sets it.
    """

    def __init__(self, config: uvicorn.Config, app: Any) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.leaving.set()
        await super().shutdown(sockets)
