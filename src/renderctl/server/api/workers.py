"""Workers: listed, drained, resumed."""

from typing import Annotated

from fastapi import Path, Query, Response

from renderctl.server.answers import answer
from renderctl.server.api import new_router
from renderctl.server.doors import Verbs
from renderctl.workers import Worker

router = new_router("workers")
WorkerRef = Annotated[str, Path(description="A worker's id, or a unique beginning of it.", max_length=255)]


@router.get("/workers", response_model=list[Worker])
def list_workers(
    verbs: Verbs, every: Annotated[bool, Query(description="Those that are gone, too.")] = False
) -> Response:
    """List workers: their state, what they offer, what they work on."""
    return answer(verbs.list_workers(all_of_them=every))


@router.post("/workers/{worker:path}/drain", response_model=Worker)
def drain(verbs: Verbs, worker: WorkerRef) -> Response:
    """Let a worker finish its frames and take no more until it is resumed."""
    return answer(verbs.drain_worker(worker))


@router.post("/workers/{worker:path}/resume", response_model=Worker)
def resume(verbs: Verbs, worker: WorkerRef) -> Response:
    """Let a drained or quarantined worker take work again."""
    return answer(verbs.resume_worker(worker))
