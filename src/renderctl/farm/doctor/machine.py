"""What this machine gives: a config, and a folder to keep things in."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from renderctl.core.errors import OutputNotWritable
from renderctl.core.private_files import is_open_to_others, make_private_folder
from renderctl.core.settings import Settings

#: What is wrong with a server that other machines can ask, and in front of which there is no proxy.
IN_THE_CLEAR = (
    "`serve` speaks plain HTTP to other machines: everybody on the way reads passwords and tokens. "
    "Put a proxy with TLS in front of it, and name that in serve.proxies."
)


def config(settings: Settings) -> str:
    return str(settings.source) if settings.source else "none: everything has its default"


def config_advice(settings: Settings) -> list[str]:
    """A file that holds passwords is nobody else's business; nor is what people send to the server."""
    return [*_secrecy(settings), *([IN_THE_CLEAR] if settings.serve.is_unencrypted() else [])]


def _secrecy(settings: Settings) -> list[str]:
    secrets = (settings.database.url, settings.queue.url, settings.cache.url, settings.store.secret_key)
    if settings.source is None or not any(secrets) or not _readable_by_others(settings.source):
        return []
    return [f"It may hold passwords, and others on this machine can read it: chmod 600 {settings.source}"]


def data_folder(settings: Settings) -> str:
    """Where it is, and what is free there. Raises OutputNotWritable."""
    folder = settings.data_dir
    make_private_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "Choose another with data_dir in the config, or RENDERCTL_DATA_DIR."
        raise OutputNotWritable(f"{folder} can not be written to.", hint=hint)
    return f"{folder}, {_free_mb(folder)} MB free"


def data_folder_advice(settings: Settings) -> Iterator[str]:
    needed_mb = settings.worker.min_free_mb
    if _free_mb(settings.data_dir) < needed_mb:
        yield f"A worker takes no work here: it wants {needed_mb} MB free (worker.min_free_mb)."
    if is_open_to_others(settings.data_dir):
        yield f"Others on this machine can look into it: chmod 700 {settings.data_dir}"


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free >> 20


def _readable_by_others(file: Path) -> bool:
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
