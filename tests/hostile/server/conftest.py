"""A client that works through a server which wants to harm it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.client.connection import ServerConnection
from renderctl.client.http import HttpClient
from renderctl.core.actors import local_actor
from renderctl.wiring import LocalCommands
from renderctl.wiring.remote_commands import RemoteCommands
from tests.farms import close, make_farm, quick_settings
from tests.hostile.server.evil import EvilServer, evil_server

TOKEN = "rctl_0123456789abc"


@pytest.fixture
def evil() -> Iterator[EvilServer]:
    with evil_server() as server:
        yield server


@pytest.fixture
def victim(tmp_path: Path, evil: EvilServer) -> Iterator[RemoteCommands]:
    """Somebody's machine, with a token of the server; no answer of more than 100 kB is read."""
    farm = make_farm(tmp_path / "data", settings=quick_settings(tmp_path / "data"))
    api = HttpClient(evil.url, TOKEN, most_bytes=100_000)
    here = LocalCommands(farm.settings, local_actor("ada"), farm)
    yield RemoteCommands(ServerConnection(api, farm), here)
    api.close()
    close(farm)
