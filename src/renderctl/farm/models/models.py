"""`models`: what was uploaded."""

from renderctl.core.actors import Actor
from renderctl.core.jobs import Input
from renderctl.core.models import Model
from renderctl.core.permissions import visibility_of
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_model


def list_models(
    farm: Farm,
    actor: Actor,
    name: str | None = None,
    *,
    project: str | None = None,
    search: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Model]:
    """Models, the newest first; with a name: the versions of that one. Those that are older than model `before`.

    `search`: a part of the name.
    """
    asked = {"name": name, "project": project, "search": search, "before": before}
    return farm.repository.models.newest(**asked, limit=limit, visibility=visibility_of(actor, "model.see"))


def model_files(farm: Farm, actor: Actor, ref: str, *, skip: int = 0, limit: int) -> list[Input]:
    """Some of the files of a model, by their paths. Raises NotFound."""
    model = authorized_model(farm, actor, ref, "model.see")
    return farm.repository.models.inputs(model.id, skip=skip, limit=limit)


def show_model(farm: Farm, actor: Actor, ref: str, *, project: str | None = None) -> Model:
    """One model by `name`, `name@version` or id; of several of a name that of the `project`. Raises NotFound."""
    return authorized_model(farm, actor, ref, "model.see", project=project)


def remove_model(farm: Farm, actor: Actor, ref: str) -> Model:
    """Remove a model that no job uses. Raises NotFound, Conflict."""
    return farm.repository.models.remove(authorized_model(farm, actor, ref, "model.remove").id, actor=actor)
