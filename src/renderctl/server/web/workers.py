"""The workers: what they offer, what they are doing at this moment, and why one takes no work."""

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
_A_PAGE = 100
#: What a state means, for whoever wonders why a worker takes no work.
_MEANING = {
    WorkerState.ACTIVE: "It takes work.",
    WorkerState.UNHEALTHY: "Something is wrong with its node: it takes nothing until that is over, by itself.",
    WorkerState.DRAINING: "It finishes what it holds and takes no more until it is resumed.",
    WorkerState.QUARANTINED: "It failed where others succeed: it takes nothing until it is resumed.",
    WorkerState.GONE: "It left in good order.",
    WorkerState.LOST: "Its heart stopped beating; what it held was given to others.",
}


@router.get("/workers")
def workers(
    context: CurrentPage,
    q: FilterText = "",
    state: FilterText = "",
    pool: FilterText = "",
    gone: Annotated[bool, Query(description="Those that left, too.")] = False,
    page: PageNumber = 1,
) -> Response:
    """The workers, or those that are asked for."""
    every: list[Worker] = context.verbs.list_workers(all_of_them=gone)
    said = {"q": q, "state": state, "pool": pool, "gone": "true" if gone else ""}
    found = [each for each in every if _is_wanted(each, q.casefold(), state, pool)]
    busy = _by_worker(context.verbs.work_at_hand())
    return context.show(
        "workers",
        part=paginate(found, page, _A_PAGE, "/workers", said),
        busy=busy,
        said=said,
        filtered=any(said.values()),
        tally=Counter(each.state.value for each in every),
        slots=sum(each.slots for each in every if each.state is WorkerState.ACTIVE),
        taken=sum(len(each) for each in busy.values()),
        states=tuple(WorkerState),
        pools=sorted({name for each in every for name in each.pools}),
        steers=context.can("worker.control"),
    )


@router.get("/workers/{worker:path}")
def worker(context: CurrentPage, worker: Annotated[str, Path(max_length=255)]) -> Response:
    """One worker."""
    found = _the_worker(context, worker)
    return context.show(
        "worker",
        worker=found,
        work=_by_worker(context.verbs.work_at_hand()).get(found.id, []),
        meaning=_MEANING[found.state],
        steers=context.can("worker.control"),
        audits=context.can("audit.see"),
    )


def _the_worker(context: PageContext, worker_id: str) -> Worker:
    for each in context.verbs.list_workers(all_of_them=True):
        if each.id == worker_id:
            return each
    raise NotFound(f"There is no worker {worker_id!r}.")


def _is_wanted(worker: Worker, text: str, state: str, pool: str) -> bool:
    offers = worker.capabilities
    words = (worker.id, worker.host, *offers.offers, *offers.gpus)
    return (
        (not text or any(text in word.casefold() for word in words))
        and (not state or worker.state == state)
        and (not pool or pool in worker.pools)
    )


def _by_worker(work: Iterable[CurrentWork]) -> dict[str, list[CurrentWork]]:
    found: dict[str, list[CurrentWork]] = {}
    for each in work:
        found.setdefault(each.worker_id, []).append(each)
    return found
