"""`models`: what was uploaded."""

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.models import Model


def list_models(farm: Farm, name: str | None = None) -> list[Model]:
    """Models, the newest first; with a name: the versions of that one."""
    return farm.repository.models(name=name)


def show_model(farm: Farm, ref: str) -> Model:
    """One model by `name`, `name@version` or id. Raises NotFound."""
    return farm.repository.find_model(ref)


def remove_model(farm: Farm, ref: str, *, actor: Actor) -> Model:
    """Remove a model that no job uses. Raises NotFound, Conflict."""
    return farm.repository.remove_model(ref, actor=actor)
