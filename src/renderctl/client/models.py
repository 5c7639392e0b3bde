"""Models, over HTTP: a scene is looked at here, with a Blender of this machine; its files are sent."""

from dataclasses import asdict
from pathlib import Path

from renderctl.blender.failures import SessionFailed
from renderctl.blender.header import names_a_file
from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import field_of, fields, typed
from renderctl.client.uploads import upload_files
from renderctl.core.models import Model
from renderctl.farm import OnProgress, ignore_progress
from renderctl.farm.models.upload import Uploaded, UploadOptions, UploadRequest, as_error, prepare


def upload(server: ServerConnection, request: UploadRequest, *, on_advance: OnProgress = ignore_progress) -> Uploaded:
    """Look at the scene, send what the server wants, and have it keep a new version."""
    prepared = prepare(server.local_farm, request, on_advance=on_advance)
    sent = upload_files(server, prepared.files, on_advance, project=request.project, verify=request.verify)
    new = prepared.new
    body: dict[str, object] = {"name": new.name, "main": new.main, "project": request.project}
    body |= {"facts": new.facts.as_document(), "inputs": [asdict(file) for file in new.inputs]}
    document = fields(server.api.post("/models", body))
    size = sum(file.size for file in sent)
    return Uploaded(
        typed(Model, document.get("model")), field_of(document, "new", bool), len(sent), size, prepared.notes
    )


def model_of(
    server: ServerConnection,
    scene: str,
    options: UploadOptions,
    *,
    on_advance: OnProgress = ignore_progress,
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


def list_models(
    server: ServerConnection,
    name: str | None = None,
    *,
    project: str | None = None,
    search: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Model]:
    """Models, the newest first."""
    query = {"name": name, "project": project, "search": search, "before": before}
    return typed(list[Model], server.api.get("/models", **query, limit=limit))


def show_model(server: ServerConnection, ref: str, *, project: str | None = None) -> Model:
    """One model."""
    return typed(Model, server.api.get(f"/models/{quoted(ref)}", project=project))


def remove_model(server: ServerConnection, ref: str) -> Model:
    """Remove a model that no job uses."""
    return typed(Model, server.api.delete(f"/models/{quoted(ref)}"))
