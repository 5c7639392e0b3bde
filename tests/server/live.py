"""A server in a thread of this process, at an address of its own."""

import getpass
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import uvicorn

from renderctl.core.actors import Role, Scope
from renderctl.core.clocks import SystemClock
from renderctl.core.ids import new_id
from renderctl.core.people import Token
from renderctl.farm import Farm
from renderctl.farm.people.secrets import token_digest
from renderctl.server.app import create_app
from renderctl.server.runner import server_config
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR


@contextmanager
def listening(farm: Farm) -> Iterator[str]:
    """The address of a server of the farm, for as long as the context."""
    app = create_app(LocalCommands(farm.settings, ACTOR, farm))
    config = server_config(app, farm.settings.serve, "127.0.0.1", 0, shutdown_s=2)
    server, started = uvicorn.Server(config), Queue[str]()
    with config.bind_socket() as socket:
        socket.listen()  # whoever reads the address may ask at once

        def run() -> None:
            started.put(f"http://127.0.0.1:{socket.getsockname()[1]}")
            server.run(sockets=[socket])

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield started.get(timeout=30)
        finally:
            app.state.stopping.set()
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


@contextmanager
def through_a_server(farm: Farm) -> Iterator[dict[str, str]]:
    """What a machine is told that works through a server of the farm, as this user and an admin."""
    name, secret = getpass.getuser(), f"rctl_{new_id()}"
    farm.repository.users.add(name, Role.ADMIN, (), password=None, actor=ACTOR)
    token = Token(new_id(), name, "test", Scope.ALL, SystemClock().now(), None)
    farm.repository.tokens.add(token, token_digest(secret), lasts_s=None, actor=ACTOR)
    with listening(farm) as url:
        yield {"RENDERCTL_SERVER__URL": url, "RENDERCTL_SERVER__TOKEN": secret}
