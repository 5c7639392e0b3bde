"""`models`: what was uploaded."""

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.gate import the_model
from renderctl.models import Model
from renderctl.permissions import sight


def list_models(farm: Farm, name: str | None = None, *, actor: Actor) -> list[Model]:
    """Models, the newest first; with a name: the versions of that one."""
    return farm.repository.models(name=name, sight=sight(actor, "model.see"))


def show_model(farm: Farm, ref: str, *, project: str | None = None, actor: Actor) -> Model:
    """One model by `name`, `name@version` or id; of several of a name that of the `project`. Raises NotFound."""
    return the_model(farm, ref, "model.see", actor=actor, project=project)


def remove_model(farm: Farm, ref: str, *, actor: Actor) -> Model:
    """Remove a model that no job uses. Raises NotFound, Conflict."""
    return farm.repository.remove_model(the_model(farm, ref, "model.remove", actor=actor).id, actor=actor)
