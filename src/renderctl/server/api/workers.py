"""Workers: list, drain, resume."""

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
    verbs: Commands, every: Annotated[bool, Query(description="Include workers that are gone.")] = False
) -> Response:
    """List workers with their states, capabilities and tasks."""
    return json_response(verbs.list_workers(all_of_them=every))


@router.post("/workers/{worker:path}/drain", response_model=Worker)
def drain(verbs: Commands, worker: WorkerRef) -> Response:
    """Drain a worker: it finishes its frames, and takes no more until it is resumed."""
    return json_response(verbs.drain_worker(worker))


@router.post("/workers/{worker:path}/resume", response_model=Worker)
def resume(verbs: Commands, worker: WorkerRef) -> Response:
    """Resume a drained or quarantined worker."""
    return json_response(verbs.resume_worker(worker))
