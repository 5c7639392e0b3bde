"""The number of a node: made when it is first asked for, one for each machine that uses the data folder."""

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

from renderctl.core.ids import new_id, new_token
from renderctl.core.private_files import ensure_private_folder
from renderctl.farm import Farm
from renderctl.farm.safe_names import safe_name

_MACHINE_ID = Path("/etc/machine-id")


def node_number(farm: Farm) -> str:
    """The number of this node, made when it is first asked for."""
    file = number_file(farm)
    ensure_private_folder(file.parent)
    fresh = file.with_name(f"{file.name}.{new_id()}")
    fresh.write_text(f"{new_token()} {safe_name(host_name())}\n", encoding="utf-8")
    try:
        with suppress(FileExistsError):  # another start was quicker, or it is there for years
            os.link(fresh, file)
    finally:
        fresh.unlink()
    return file.read_text(encoding="utf-8").split()[0]


def host_name() -> str:
    return platform.node() or "worker"


def give_up_number(farm: Farm) -> None:
    """Another machine has this node's number: the next start makes a new one."""
    number_file(farm).unlink(missing_ok=True)


def number_file(farm: Farm) -> Path:
    """Where the number of this node stands."""
    try:
        machine = _MACHINE_ID.read_text(encoding="utf-8").strip()
    except OSError:
        machine = ""
    return farm.settings.data_dir / "nodes" / hashlib.sha256(f"renderctl {machine}".encode()).hexdigest()[:16]
