"""Resumable uploads of files by their digests, and the models made of them."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

import anyio.to_thread
from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from renderctl.core.errors import InvalidInput, TooLarge
from renderctl.core.limits import MAX_COUNT, MAX_FILES, MAX_PATH
from renderctl.core.models import ModelFacts
from renderctl.farm.models.incoming_uploads import WantedFile
from renderctl.farm.models.register_model import UploadedModel
from renderctl.server.api import new_router
from renderctl.server.api.models import without_local_paths
from renderctl.server.authentication import Commands
from renderctl.server.request_body import MANIFEST_BYTES
from renderctl.server.request_models import FileBody, Name
from renderctl.server.response_models import ModelDocument
from renderctl.server.responses import json_response
from renderctl.server.routing import body_limit

router = new_router("uploads")
Digest = Annotated[str, Path(description="The SHA-256 of the file, in hex.", pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Query(description="Bytes of the whole file.", ge=0, le=MAX_COUNT)]
#: Bytes that are written at a time.
_WRITE_BYTES = 1 << 20


class WantedBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    files: list[FileBody] = Field(max_length=MAX_FILES)
    project: Name | None = None
    verify: bool = Field(False, description="Check that the store has every file, also the known ones.")


class ModelBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    main: str = Field(description="The path of the .blend among the files.", max_length=MAX_PATH)
    facts: ModelFacts = Field(description="The facts of the scene, from Blender.")
    inputs: list[FileBody] = Field(max_length=MAX_FILES, min_length=1)
    project: Name | None = None


class PromoteBody(BaseModel):
    size: int = Field(description="Bytes.", ge=0, le=MAX_COUNT)


class ReceivedDocument(BaseModel):
    received: int  #: bytes received so far
    complete: bool  #: the store has the whole file


class AddedModel(BaseModel):
    model: ModelDocument
    new: bool  #: false: the latest version is the same


@router.post("/uploads/wanted", response_model=list[WantedFile])
@body_limit(MANIFEST_BYTES)
def missing_files(verbs: Commands, body: WantedBody) -> Response:
    """List the files that must be uploaded: not those that the user may read already."""
    files = [file.input() for file in body.files]
    return json_response(verbs.wanted_files(files, project=body.project, verify=body.verify))


@router.get("/uploads/{digest}", response_model=ReceivedDocument)
def upload_progress(verbs: Commands, digest: Digest) -> Response:
    """Show how much of a file was received, to resume its upload."""
    return json_response({"received": verbs.partial_upload(digest).size, "complete": False})


@router.put(
    "/uploads/{digest}",
    response_model=ReceivedDocument,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}},
)
@body_limit(None)
async def upload_part(
    request: Request,
    verbs: Commands,
    digest: Digest,
    size: Size,
    offset: Annotated[int, Query(description="Offset of the sent bytes.", ge=0, le=MAX_COUNT)] = 0,
) -> Response:
    """Upload a file, or a part of it; the last part completes and verifies it."""
    if offset > size:
        raise InvalidInput(f"The offset {offset} is beyond the {size} bytes of the file.")
    upload = await anyio.to_thread.run_sync(lambda: verbs.partial_upload(digest, size))
    with upload.begun(offset) as writer:
        reached = offset
        with suppress(ClientDisconnect):  # what was received stays, and the upload can be resumed
            async for chunk in _chunks(request):
                if reached + len(chunk) > size:
                    raise TooLarge(f"The upload has more than the {size} bytes of the file.")
                await anyio.to_thread.run_sync(writer.write, chunk)
                reached += len(chunk)
        if reached == size:
            await anyio.to_thread.run_sync(upload.complete, size)
    return json_response({"received": reached, "complete": reached == size})


@router.post("/uploads/{digest}/promote", response_model=ReceivedDocument)
def promote(verbs: Commands, digest: Digest, body: PromoteBody) -> Response:
    """Complete a file that was uploaded to the store directly: it is verified and kept."""
    verbs.promote(digest, body.size)
    return json_response({"received": body.size, "complete": True})


@router.post("/models", response_model=AddedModel, status_code=201, responses={200: {"model": AddedModel}})
@body_limit(MANIFEST_BYTES)
def add_model(verbs: Commands, body: ModelBody) -> Response:
    """Register a model made of uploaded files. 200: its latest version is the same."""
    uploaded = UploadedModel(body.name, body.main, body.facts, tuple(file.input() for file in body.inputs))
    model, new = verbs.add_model(uploaded, project=body.project)
    return json_response({"model": without_local_paths(model), "new": new}, 201 if new else 200)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body in chunks that are worth a write."""
    buffer = bytearray()
    async for chunk in request.stream():
        buffer += chunk
        if len(buffer) >= _WRITE_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
