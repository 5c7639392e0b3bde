"""Settings become a farm, and verbs are bound to it: the only place that names implementations.

Everything is imported when it is first used, so that `--help` and a cached status pay for nothing else.
"""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.wiring.commands import LocalCommands
from renderctl.wiring.config_files import read_settings, trusted_configs, write_compose, write_config
from renderctl.wiring.ports import open_farm
from renderctl.wiring.server_choice import is_in_the_clear, kept_server, log_in, log_out
from renderctl.wiring.verbs import VERBS

if TYPE_CHECKING:
    from renderctl.client.commands import RemoteCommands

__all__ = [
    "VERBS",
    "LocalCommands",
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
    config: Path | None = None, *, direct: bool = False, local: LocalCommands | None = None
) -> "LocalCommands | RemoteCommands":
    """The verbs for this machine's config and user: through a server if there is one, unless `direct`.

    `local`: what an earlier `direct` call has returned for the same config. Raises BadSettings.
    """
    here = local or _connect_locally(config)
    login = None if direct else kept_server(here.settings)
    if login is None:
        return here
    from renderctl.client.commands import RemoteCommands
    from renderctl.client.http import HttpClient

    return RemoteCommands(here.settings, here.farm, HttpClient(*login), here)


def _connect_locally(config: Path | None) -> LocalCommands:
    from renderctl.core.actors import local_actor

    return LocalCommands(read_settings(config), local_actor(_user(), os.uname().nodename))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"
