"""Models, over HTTP: a scene is looked at here, with a Blender of this machine; its files are sent."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from renderctl.blender.failures import SessionFailed
from renderctl.blender.header import names_a_file
from renderctl.client.answers import typed
from renderctl.client.api import quoted
from renderctl.client.connection import ServerConnection
from renderctl.client.sending import send
from renderctl.farm import OnAdvance, unheard
from renderctl.farm.upload import Uploaded, UploadOptions, UploadRequest, as_error, prepare
from renderctl.models import Model


def upload(server: ServerConnection, request: UploadRequest, *, on_advance: OnAdvance = unheard) -> Uploaded:
    """Look at the scene, send what the server wants, and have it keep a new version."""
    prepared = prepare(server.bench, request, on_advance=on_advance)
    sent = send(server, prepared.files, on_advance, project=request.project, verify=request.verify)
    new = prepared.new
    body: dict[str, Any] = {"name": new.name, "main": new.main, "project": request.project}
    body |= {"facts": new.facts.as_document(), "inputs": [asdict(each) for each in new.inputs]}
    kept = server.api.post("/models", body)
    size = sum(each.size for each in sent)
    return Uploaded(typed(Model, kept["model"]), kept["new"], len(sent), size, prepared.notes)


def model_of(
    server: ServerConnection,
    scene: str,
    options: UploadOptions,
    *,
    on_advance: OnAdvance = unheard,
) -> tuple[Model, tuple[str, ...]]:
    """The model that `scene` means, and notes: a file is uploaded, anything else is the name of a model."""
    if not names_a_file(scene):
        return typed(Model, server.api.get(f"/models/{quoted(scene)}", project=options.project)), ()
    request = UploadRequest(Path(scene), **vars(options))
    try:
        uploaded = upload(server, request, on_advance=on_advance)
    except SessionFailed as error:
        raise as_error(error) from error
    return uploaded.model, uploaded.notes


def list_models(server: ServerConnection, name: str | None = None) -> list[Model]:
    """Models, the newest first."""
    return typed(list[Model], server.api.get("/models", name=name))


def show_model(server: ServerConnection, ref: str) -> Model:
    """One model."""
    return typed(Model, server.api.get(f"/models/{quoted(ref)}"))


def remove_model(server: ServerConnection, ref: str) -> Model:
    """Remove a model that no job uses."""
    return typed(Model, server.api.delete(f"/models/{quoted(ref)}"))
