"""Register a model that was inspected on the user's own machine, and whose files they have sent."""

from collections.abc import Mapping
from dataclasses import dataclass

from renderctl.core.actors import Actor
from renderctl.core.errors import InvalidInput
from renderctl.core.jobs import Input
from renderctl.core.limits import MAX_FILES, require_few, require_text
from renderctl.core.models import Model, ModelFacts, require_valid_facts
from renderctl.farm import Farm
from renderctl.farm.authorization import require, subject_of_project
from renderctl.farm.models.incoming_uploads import require_uploaded, validated_path
from renderctl.farm.models.upload import manifest_digest
from renderctl.farm.people.quotas import quotas_for


@dataclass(frozen=True)
class UploadedModel:
    """What `upload` finds out on the machine where the scene lies."""

    name: str
    main: str  #: path of the .blend among the inputs
    facts: ModelFacts
    inputs: tuple[Input, ...]


def add_model(farm: Farm, actor: Actor, offered: UploadedModel, *, project: str | None = None) -> tuple[Model, bool]:
    """Keep it; False: the latest version is just the same.

    Raises MissingFiles, InvalidInput, NotAllowed, QuotaExceeded.
    """
    from renderctl.core.new_model import NewModel

    require(farm, actor, "model.upload", subject_of_project(project or actor.default_project))
    _check(offered)
    require_uploaded(farm, actor, offered.inputs)  # leases them
    since = farm.repository.time()
    inputs = tuple(sorted(offered.inputs, key=lambda file: file.path))
    digest = manifest_digest(offered.main, inputs)
    name = offered.name.strip()[:255]
    facts = offered.facts.without_sources()
    new = NewModel(name, offered.main, digest, facts, inputs, project or actor.default_project)
    return farm.repository.models.add(new, actor=actor, since=since, quotas=quotas_for(farm, actor))


def _check(offered: UploadedModel) -> None:
    paths = {file.path for file in offered.inputs}
    if offered.main not in paths:
        raise InvalidInput(f"The main file {offered.main!r} is none of the model's.")
    if not offered.name.strip():
        raise InvalidInput("A model's name is not empty.")
    require_few("files", offered.inputs, MAX_FILES)
    require_text("A model's name", offered.name)
    require_valid_facts(offered.facts)
    _check_relocations(offered.facts.relocations)
    for dependency in offered.facts.dependencies:
        if dependency.stored is not None and dependency.stored not in paths:
            raise InvalidInput(f"{dependency.stored!r} is none of the model's files.")


def _check_relocations(found: Mapping[str, str]) -> None:
    """They name folders below the root, or the root itself."""
    for folder in found.values():
        if folder != ".":
            validated_path(folder)
