"""Models: inspect, list, show, remove."""

from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.limits import MAX_FILES, MAX_PATH
from renderctl.core.models import Dependency, Model, ModelFacts
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.request_body import MANIFEST_BYTES
from renderctl.server.request_models import FileBody, Name
from renderctl.server.response_models import ModelDocument
from renderctl.server.responses import json_response
from renderctl.server.routing import body_limit

router = new_router("models")
ModelRef = Annotated[str, Path(description="NAME, NAME@VERSION or an id.", max_length=300)]
_MAX_MODELS = 1000


class InspectBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    main: str = Field(description="The path of the .blend among the files.", max_length=MAX_PATH)
    files: list[FileBody] = Field(description="Uploaded files.", max_length=MAX_FILES, min_length=1)
    project: Name | None = None


class InspectedDocument(BaseModel):
    facts: ModelFacts
    missing: list[Dependency]  #: files that the scene needs and that were not uploaded
    inputs: list[FileBody]  #: those of the files that the scene needs
    notes: list[str]


@router.post("/models/inspect", response_model=InspectedDocument)
@body_limit(MANIFEST_BYTES)
def inspect_files(verbs: Commands, body: InspectBody) -> Response:
    """Inspect an uploaded scene with a Blender of the server. 503: there is none, or it is busy."""
    files = [file.input() for file in body.files]
    inspected = verbs.inspect_files(body.main, files, project=body.project)
    return json_response({name: getattr(inspected, name) for name in InspectedDocument.model_fields})


@router.get("/models", response_model=list[ModelDocument])
def list_models(
    verbs: Commands,
    name: Annotated[str | None, Query(description="Only versions of this model.", max_length=255)] = None,
    project: Annotated[str | None, Query(max_length=255)] = None,
    search: Annotated[str | None, Query(description="A part of the name.", max_length=255)] = None,
    before: Annotated[str | None, Query(description="Only models older than this one.", max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_MODELS)] = 100,
) -> Response:
    """List models, newest first."""
    models = verbs.list_models(name, project=project, search=search, before=before, limit=limit)
    return json_response([without_local_paths(model) for model in models])


@router.get("/models/{model:path}", response_model=ModelDocument)
def show_model(
    verbs: Commands,
    model: ModelRef,
    project: Annotated[
        str | None, Query(description="The project, where several have a model of the name.", max_length=255)
    ] = None,
) -> Response:
    """Show a model."""
    return json_response(without_local_paths(verbs.show_model(model, project=project)))


@router.delete("/models/{model:path}", response_model=ModelDocument)
def remove_model(verbs: Commands, model: ModelRef) -> Response:
    """Remove a model that no job uses."""
    return json_response(without_local_paths(verbs.remove_model(model)))


def without_local_paths(model: Model) -> Model:
    """The model without the paths of the machine that it was uploaded from."""
    return replace(model, facts=model.facts.published())
