"""Settings become a farm, and verbs are bound to it: the only place that names implementations.

Everything is imported when it is first used, so that `--help` and a cached status pay for nothing else.
"""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.wiring.configs import read_settings, trusted_configs, write_compose, write_config
from renderctl.wiring.connection import Connection
from renderctl.wiring.logins import is_in_the_clear, kept_server, log_in, log_out
from renderctl.wiring.ports import open_farm
from renderctl.wiring.verbs import VERBS

if TYPE_CHECKING:
    from renderctl.client.connection import ServerConnection

__all__ = [
    "VERBS",
    "Connection",
    "connect",
    "is_in_the_clear",
    "log_in",
    "log_out",
    "open_farm",
    "read_settings",
    "trusted_configs",
    "write_compose",
    "write_config",
]


def connect(
    config: Path | None = None, *, direct: bool = False, local: Connection | None = None
) -> "Connection | ServerConnection":
    """The verbs for this machine's config and user: through a server if there is one, unless `direct`.

    `local`: what an earlier `direct` call has returned for the same config. Raises BadSettings.
    """
    here = local or _connect_locally(config)
    login = None if direct else kept_server(here.settings)
    if login is None:
        return here
    from renderctl.client.api import Api
    from renderctl.client.connection import ServerConnection

    return ServerConnection(here.settings, here.farm, Api(*login), here)


def _connect_locally(config: Path | None) -> Connection:
    from renderctl.actors import local_actor

    return Connection(read_settings(config), local_actor(_user(), os.uname().nodename))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"
