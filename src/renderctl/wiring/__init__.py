"""Settings become a farm, and verbs are bound to it: the only place that names implementations.

Everything is imported when it is first used, so that `--help` and a cached status pay for nothing else.
"""

import getpass
import os
from pathlib import Path

from renderctl.wiring.commands import Commands, LocalCommands
from renderctl.wiring.config_files import read_settings, trusted_configs, write_compose, write_config
from renderctl.wiring.ports import open_farm
from renderctl.wiring.server_choice import is_unencrypted, kept_server, log_in, log_out

__all__ = [
    "Commands",
    "LocalCommands",
    "connect",
    "connect_locally",
    "is_unencrypted",
    "log_in",
    "log_out",
    "open_farm",
    "read_settings",
    "trusted_configs",
    "write_compose",
    "write_config",
]


def connect(config: Path | None = None, *, local: LocalCommands | None = None) -> Commands:
    """The verbs for this machine's config and user: through a server if there is one.

    `local`: what `connect_locally` has returned for the same config. Raises BadSettings.
    """
    local = local or connect_locally(config)
    login = kept_server(local.settings)
    if login is None:
        return local
    from renderctl.client.connection import ServerConnection
    from renderctl.client.http import HttpClient
    from renderctl.wiring.remote_commands import RemoteCommands

    return RemoteCommands(ServerConnection(HttpClient(*login), local.farm), local)


def connect_locally(config: Path | None = None) -> LocalCommands:
    """The verbs for this machine's config and user, with the farm's own parts. Raises BadSettings."""
    from renderctl.core.actors import local_actor

    return LocalCommands(read_settings(config), local_actor(_user(), os.uname().nodename))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"
