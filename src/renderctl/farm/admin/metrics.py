"""Figures about the whole farm, for whoever watches over it."""

from typing import TYPE_CHECKING

from renderctl.core.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.authorization import require

if TYPE_CHECKING:
    from renderctl.core.metrics import Cursor, Measures, Since


def may_read_metrics(farm: Farm, actor: Actor) -> None:
    """Whether the actor may know. Raises NotAllowed."""
    require(farm, actor, "metrics.read")


def metrics(farm: Farm, actor: Actor) -> "Measures":
    """How the farm is at this moment. Raises NotAllowed."""
    require(farm, actor, "metrics.read")
    return farm.repository.metrics.measure()


def metrics_since(farm: Farm, actor: Actor, since: "Cursor | None" = None) -> "Since":
    """What has come since a mark: counted from one to the next, everything is counted once. Raises NotAllowed."""
    require(farm, actor, "metrics.read")
    return farm.repository.metrics.since(since)
