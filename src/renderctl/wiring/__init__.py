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


def connect(config: Path | None = None, *, direct: bool = False) -> "Connection | ServerConnection":
    """The verbs for this machine's config and user: through a server if there is one, unless `direct`.

    Raises BadSettings.
    """
    from renderctl.actors import local_actor

    settings = read_settings(config)
    here = Connection(settings, local_actor(_user(), os.uname().nodename))
    login = None if direct else kept_server(settings)
    if login is None:
        return here
    from renderctl.client.api import Api
    from renderctl.client.connection import ServerConnection

    return ServerConnection(settings, here.farm, Api(*login), here)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"
