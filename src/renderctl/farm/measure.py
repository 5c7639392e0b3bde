"""Figures about the whole farm, for whoever watches over it."""

from typing import TYPE_CHECKING

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.gate import admit

if TYPE_CHECKING:
    from renderctl.repository.measuring import Measures


def measure(farm: Farm, *, actor: Actor) -> "Measures":
    """How the farm is at this moment. Raises NotAllowed."""
    admit(farm, actor, "farm.measure")
    return farm.repository.measures()
