"""Workers: listed, drained, resumed."""

from typing import Annotated

from fastapi import Path, Query, Response

from renderctl.core.workers import Worker
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.responses import json_response

router = new_router("workers")
WorkerRef = Annotated[str, Path(description="A worker's id, or a unique beginning of it.", max_length=255)]


@router.get("/workers", response_model=list[Worker])
def list_workers(
    verbs: Commands, every: Annotated[bool, Query(description="Those that are gone, too.")] = False
) -> Response:
    """List workers: their state, what they offer, what they work on."""
    return json_response(verbs.list_workers(all_of_them=every))


@router.post("/workers/{worker:path}/drain", response_model=Worker)
def drain(verbs: Commands, worker: WorkerRef) -> Response:
    """Let a worker finish its frames and take no more until it is resumed."""
    return json_response(verbs.drain_worker(worker))


@router.post("/workers/{worker:path}/resume", response_model=Worker)
def resume(verbs: Commands, worker: WorkerRef) -> Response:
    """Let a drained or quarantined worker take work again."""
    return json_response(verbs.resume_worker(worker))
