"""Figures about the whole farm, for whoever watches over it."""

from typing import TYPE_CHECKING

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.gate import admit

if TYPE_CHECKING:
    from renderctl.repository.measuring import Lately, Mark, Measures


def may_measure(farm: Farm, *, actor: Actor) -> None:
    """Whether the actor may know. Raises NotAllowed."""
    admit(farm, actor, "farm.measure")


def measure(farm: Farm, *, actor: Actor) -> "Measures":
    """How the farm is at this moment. Raises NotAllowed."""
    admit(farm, actor, "farm.measure")
    return farm.repository.measures()


def measure_lately(farm: Farm, since: "Mark | None" = None, *, actor: Actor) -> "Lately":
    """What has come since a mark: counted from one to the next, everything is counted once. Raises NotAllowed."""
    admit(farm, actor, "farm.measure")
    return farm.repository.lately(since)
