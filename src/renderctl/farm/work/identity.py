"""Who a worker is: an id that its node keeps across restarts, and that no other node has.

A node gets its number when the first worker starts there, one for each machine that uses the data folder: two hosts of
one name have two, and a host that is renamed keeps its own. A copy of a machine has the number of the original, until
two of them work under one name: the farm keeps the one that started last, the other gives the number up.
"""

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

from renderctl.errors import WorkerNameTaken
from renderctl.farm import Farm
from renderctl.farm.safenames import safe_name
from renderctl.farm.scratch import Scratch, scratch_root
from renderctl.ids import new_id, new_token

_MACHINE_ID = Path("/etc/machine-id")


def node_number(farm: Farm) -> str:
    """The number of this node, made when it is first asked for."""
    file = _number_file(farm)
    file.parent.mkdir(parents=True, exist_ok=True)
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
    _number_file(farm).unlink(missing_ok=True)


def claim_scratch(farm: Farm, name: str | None, *, for_one_job: bool) -> Scratch:
    """The scratch folder whose name is the worker's id, ours until we let it go. Raises WorkerNameTaken."""
    if name is not None:
        scratch = _claim_patiently(farm, scratch_root(farm) / safe_name(name))
        if scratch is None:
            raise WorkerNameTaken(f"A worker called {name!r} is running here already.", hint="Give it another --name.")
        return scratch
    if for_one_job:
        return Scratch.claim_new(scratch_root(farm), "render")
    base = _base_name(farm)
    for number in range(1, 1000):
        scratch = Scratch.claim(scratch_root(farm) / f"{base}-{number}")
        if scratch is not None:
            return scratch
    raise WorkerNameTaken("A thousand workers are running here already.")


def _base_name(farm: Farm) -> str:
    """The host's name when the node got its number, and the end of that."""
    node_number(farm)
    number, host = _number_file(farm).read_text(encoding="utf-8").split()
    return f"{host}-{number[-4:]}"


def _number_file(farm: Farm) -> Path:
    try:
        machine = _MACHINE_ID.read_text(encoding="utf-8").strip()
    except OSError:
        machine = ""
    return farm.settings.data_dir / "nodes" / hashlib.sha256(f"renderctl {machine}".encode()).hexdigest()[:16]


def _claim_patiently(farm: Farm, path: Path) -> Scratch | None:
    """Another start that looks for what the dead have left holds every lock for a moment."""
    for _ in range(20):
        scratch = Scratch.claim(path)
        if scratch is not None:
            return scratch
        farm.clock.wait(None, 0.05)
    return None
