"""`models`: what was uploaded."""

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.gate import the_model
from renderctl.jobs import Input
from renderctl.models import Model
from renderctl.permissions import sight


def list_models(
    farm: Farm,
    name: str | None = None,
    *,
    project: str | None = None,
    search: str | None = None,
    before: str | None = None,
    limit: int = 100,
    actor: Actor,
) -> list[Model]:
    """Models, the newest first; with a name: the versions of that one. Those that are older than model `before`.

    `search`: a part of the name.
    """
    asked = {"name": name, "project": project, "search": search, "before": before}
    return farm.repository.models(**asked, limit=limit, sight=sight(actor, "model.see"))


def model_files(farm: Farm, ref: str, *, skip: int = 0, limit: int, actor: Actor) -> list[Input]:
    """Some of the files of a model, by their paths. Raises NotFound."""
    model = the_model(farm, ref, "model.see", actor=actor)
    return farm.repository.model_inputs(model.id, skip=skip, limit=limit)


def show_model(farm: Farm, ref: str, *, project: str | None = None, actor: Actor) -> Model:
    """One model by `name`, `name@version` or id; of several of a name that of the `project`. Raises NotFound."""
    return the_model(farm, ref, "model.see", actor=actor, project=project)


def remove_model(farm: Farm, ref: str, *, actor: Actor) -> Model:
    """Remove a model that no job uses. Raises NotFound, Conflict."""
    return farm.repository.remove_model(the_model(farm, ref, "model.remove", actor=actor).id, actor=actor)
