"""The pages of workers: their capabilities, current work, and why one takes no work."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Query, Response

from renderctl.core.errors import NotFound
from renderctl.core.states import WorkerState
from renderctl.core.workers import CurrentWork, Worker
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import FilterText, PageNumber, paginate

router = new_router()
_PAGE_SIZE = 100
#: What the states mean for the work of a worker.
_MEANING = {
    WorkerState.ACTIVE: "It takes work.",
    WorkerState.UNHEALTHY: "Its node has a problem. It takes no work until that is over, and then continues by itself.",
    WorkerState.DRAINING: "It finishes its frames, and takes no more until it is resumed.",
    WorkerState.QUARANTINED: "It failed frames that others render. It takes no work until it is resumed.",
    WorkerState.GONE: "It has stopped.",
    WorkerState.LOST: "Its heartbeats stopped. Its frames were given to other workers.",
}


@router.get("/workers")
def workers(
    context: CurrentPage,
    q: FilterText = "",
    state: FilterText = "",
    pool: FilterText = "",
    gone: Annotated[bool, Query(description="Include workers that are gone.")] = False,
    page: PageNumber = 1,
) -> Response:
    """Workers, by the filters."""
    all_workers: list[Worker] = context.verbs.list_workers(all_of_them=gone)
    filters = {"q": q, "state": state, "pool": pool, "gone": "true" if gone else ""}
    rows = [worker for worker in all_workers if _matches(worker, q.casefold(), state, pool)]
    work_by_worker = _by_worker(context.verbs.work_at_hand())
    return context.show(
        "workers",
        page=paginate(rows, page, _PAGE_SIZE, "/workers", filters),
        work_by_worker=work_by_worker,
        filters=filters,
        is_filtered=any(filters.values()),
        counts=Counter(worker.state.value for worker in all_workers),
        slots=sum(worker.slots for worker in all_workers if worker.state is WorkerState.ACTIVE),
        busy_slots=sum(len(work) for work in work_by_worker.values()),
        states=tuple(WorkerState),
        pools=sorted({pool for worker in all_workers for pool in worker.pools}),
        can_control=context.can("worker.control"),
    )


@router.get("/workers/{worker:path}")
def worker(context: CurrentPage, worker: Annotated[str, Path(max_length=255)]) -> Response:
    """One worker."""
    chosen = _find_worker(context, worker)
    return context.show(
        "worker",
        worker=chosen,
        work=_by_worker(context.verbs.work_at_hand()).get(chosen.id, []),
        meaning=_MEANING[chosen.state],
        can_control=context.can("worker.control"),
        can_audit=context.can("audit.see"),
    )


def _find_worker(context: PageContext, worker_id: str) -> Worker:
    for worker in context.verbs.list_workers(all_of_them=True):
        if worker.id == worker_id:
            return worker
    raise NotFound(f"There is no worker {worker_id!r}.")


def _matches(worker: Worker, text: str, state: str, pool: str) -> bool:
    capabilities = worker.capabilities
    words = (worker.id, worker.host, *capabilities.offers, *capabilities.gpus)
    return (
        (not text or any(text in word.casefold() for word in words))
        and (not state or worker.state == state)
        and (not pool or pool in worker.pools)
    )


def _by_worker(work: Iterable[CurrentWork]) -> dict[str, list[CurrentWork]]:
    grouped: dict[str, list[CurrentWork]] = {}
    for item in work:
        grouped.setdefault(item.worker_id, []).append(item)
    return grouped
