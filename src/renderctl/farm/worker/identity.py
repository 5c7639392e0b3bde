"""Who a worker is: an id that its node keeps across restarts, and that no other node has.

A node gets its number when the first worker starts there, one for each machine that uses the data folder: two hosts of
one name have two, and a host that is renamed keeps its own. A copy of a machine has the number of the original, until
two of them work under one name: the farm keeps the one that started last, the other gives the number up.
"""

from pathlib import Path

from renderctl.core.errors import WorkerNameTaken
from renderctl.farm import Farm
from renderctl.farm.node_id import node_number, number_file
from renderctl.farm.safe_names import safe_name
from renderctl.farm.scratch import Scratch, scratch_root


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
    number, host = number_file(farm).read_text(encoding="utf-8").split()
    return f"{host}-{number[-4:]}"


def _claim_patiently(farm: Farm, path: Path) -> Scratch | None:
    """Another start that looks for what the dead have left holds every lock for a moment."""
    for _ in range(20):
        scratch = Scratch.claim(path)
        if scratch is not None:
            return scratch
        farm.clock.wait(None, 0.05)
    return None
