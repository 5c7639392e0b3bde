"""Models: listed, shown, removed."""

from typing import Annotated

from fastapi import Path, Query, Response

from renderctl.server.answers import answer
from renderctl.server.api import new_router
from renderctl.server.documents import ModelDocument
from renderctl.server.doors import Verbs

router = new_router("models")
ModelRef = Annotated[str, Path(description="NAME, NAME@VERSION or an id.", max_length=300)]


@router.get("/models", response_model=list[ModelDocument])
def list_models(
    verbs: Verbs, name: Annotated[str | None, Query(description="The versions of this one.", max_length=255)] = None
) -> Response:
    """List models, the newest first."""
    return answer(verbs.list_models(name))


@router.get("/models/{model:path}", response_model=ModelDocument)
def show_model(
    verbs: Verbs,
    model: ModelRef,
    project: Annotated[str | None, Query(description="Of several of a name, that of this one.", max_length=255)] = None,
) -> Response:
    """Tell what is known of a model."""
    return answer(verbs.show_model(model, project=project))


@router.delete("/models/{model:path}", response_model=ModelDocument)
def remove_model(verbs: Verbs, model: ModelRef) -> Response:
    """Remove a model that no job uses."""
    return answer(verbs.remove_model(model))
