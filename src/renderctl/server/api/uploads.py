"""Uploads: files by their digests, each sent in pieces that go on where they broke off; and models made of them."""

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
from renderctl.server.api.models import published
from renderctl.server.authentication import Commands
from renderctl.server.request_body import MANIFEST_BYTES
from renderctl.server.request_models import FileBody, Name
from renderctl.server.response_models import ModelDocument
from renderctl.server.responses import json_response
from renderctl.server.routing import takes_body

router = new_router("uploads")
Digest = Annotated[str, Path(description="The SHA-256 of the file, in hex.", pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Query(description="Bytes of the whole file.", ge=0, le=MAX_COUNT)]
#: Bytes that are written at a time.
_PIECE = 1 << 20


class WantedBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    files: list[FileBody] = Field(max_length=MAX_FILES)
    project: Name | None = None
    verify: bool = Field(False, description="Look for every file, also for those that should be there.")


class ModelBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    main: str = Field(description="The path of the .blend among the files.", max_length=MAX_PATH)
    facts: ModelFacts = Field(description="What Blender says of the scene.")
    inputs: list[FileBody] = Field(max_length=MAX_FILES, min_length=1)
    project: Name | None = None


class PromoteBody(BaseModel):
    size: int = Field(description="Bytes.", ge=0, le=MAX_COUNT)


class ReceivedDocument(BaseModel):
    received: int  #: bytes that are here
    complete: bool  #: all of it is in the store


class AddedModel(BaseModel):
    model: ModelDocument
    new: bool  #: false: the latest version is just the same


@router.post("/uploads/wanted", response_model=list[WantedFile])
@takes_body(MANIFEST_BYTES)
def wanted(verbs: Commands, body: WantedBody) -> Response:
    """Which of the files have to be sent. Those that whoever asks may read already need not be."""
    files = [each.input() for each in body.files]
    return json_response(verbs.wanted_files(files, project=body.project, verify=body.verify))


@router.get("/uploads/{digest}", response_model=ReceivedDocument)
def received(verbs: Commands, digest: Digest) -> Response:
    """How much of a file is here: where to go on."""
    return json_response({"received": verbs.partial_upload(digest).size, "complete": False})


@router.put(
    "/uploads/{digest}",
    response_model=ReceivedDocument,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}},
)
@takes_body(None)
async def receive(
    request: Request,
    verbs: Commands,
    digest: Digest,
    size: Size,
    offset: Annotated[int, Query(description="Where the bytes that are sent begin.", ge=0, le=MAX_COUNT)] = 0,
) -> Response:
    """Send a file, or a piece of it; with the last one it is verified and kept."""
    if offset > size:
        raise InvalidInput(f"A file of {size} bytes does not go on at {offset}.")
    part = await anyio.to_thread.run_sync(lambda: verbs.partial_upload(digest, size))
    with part.begun(offset) as writing:
        reached = offset
        with suppress(ClientDisconnect):  # what has come stays, and is gone on with
            async for piece in _pieces(request):
                if reached + len(piece) > size:
                    raise TooLarge(f"More came than the {size} bytes that were promised.")
                await anyio.to_thread.run_sync(writing.write, piece)
                reached += len(piece)
        if reached == size:
            await anyio.to_thread.run_sync(part.complete, size)
    return json_response({"received": reached, "complete": reached == size})


@router.post("/uploads/{digest}/promote", response_model=ReceivedDocument)
def promote(verbs: Commands, digest: Digest, body: PromoteBody) -> Response:
    """Tell that a file was put at its address in the store: it is verified and kept."""
    verbs.promote(digest, body.size)
    return json_response({"received": body.size, "complete": True})


@router.post("/models", response_model=AddedModel, status_code=201, responses={200: {"model": AddedModel}})
@takes_body(MANIFEST_BYTES)
def add_model(verbs: Commands, body: ModelBody) -> Response:
    """Make a model of files that were sent. 200: the latest version is just the same."""
    offered = UploadedModel(body.name, body.main, body.facts, tuple(each.input() for each in body.inputs))
    model, new = verbs.add_model(offered, project=body.project)
    return json_response({"model": published(model), "new": new}, 201 if new else 200)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """What is sent, in pieces that are worth a write."""
    waiting = bytearray()
    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
