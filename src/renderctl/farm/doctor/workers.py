"""Who works for the farm, whether all that waits has somebody who can take it, and who repairs."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from renderctl.core.states import PRESENT_WORKER_STATES, WorkerState
from renderctl.core.workers import Worker
from renderctl.farm import Farm
from renderctl.farm.doctor.findings import Finding, check_part
from renderctl.farm.jobs.waiting_reasons import PoolSnapshot, nobody

_IN_TROUBLE = (WorkerState.UNHEALTHY, WorkerState.QUARANTINED)
#: What is named one by one.
_NAMED = 10


def crew(farm: Farm) -> Iterator[Finding]:
    """The workers, and the sweep. They are known from the database: who asks has found that it is there."""
    yield check_part("workers", partial(_workers, farm), partial(_workers_advice, farm))
    yield check_part("sweep", partial(_sweep, farm), partial(_sweep_advice, farm))


def _workers(farm: Farm) -> str:
    known = farm.repository.workers.all()
    counts = Counter(worker.state.value for worker in known)
    if not known:
        return "none at work"
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    present = [worker for worker in known if worker.state in PRESENT_WORKER_STATES]
    slots, busy = sum(worker.slots for worker in present), sum(len(worker.tasks) for worker in present)
    pools = sorted({pool for worker in present for pool in worker.pools})
    return f"{summary}; {busy} of {slots} slots busy" + (f"; pools {', '.join(pools)}" if pools else "")


def _workers_advice(farm: Farm) -> list[str]:
    troubled = [_trouble(worker) for worker in farm.repository.workers.all() if worker.state in _IN_TROUBLE]
    return [*_some(troubled, "workers"), *_some(list(_waiting(farm)), "jobs")]


def _trouble(worker: Worker) -> str:
    reason = f": {worker.reason.rstrip('.')}" if worker.reason else ""
    after = f" `renderctl workers resume {worker.id}` lets it work again."
    return f"{worker.id} is {worker.state}{reason}." + after * (worker.state is WorkerState.QUARANTINED)


def _waiting(farm: Farm) -> Iterator[str]:
    """Jobs that nobody can take, one for each reason."""
    floors: dict[str, PoolSnapshot] = {}
    waiting = [(job, nobody(farm, job, floors)) for job in farm.repository.diagnostics.idle_jobs()]
    for reason, count in Counter(reason for _, reason in waiting if reason).items():
        first = next(job for job, why in waiting if why == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        yield f"Job {first.id} ({first.name}){others} can not go on: {reason}."


def _some(lines: list[str], noun: str) -> list[str]:
    return lines[:_NAMED] + ([f"… and {len(lines) - _NAMED} more {noun}."] if len(lines) > _NAMED else [])


def _sweep(farm: Farm) -> str:
    last = farm.repository.diagnostics.last_sweep()
    return f"{last.seconds_ago:.0f} s ago, by {last.holder}" if last else "none is under way"


def _sweep_advice(farm: Farm) -> Iterator[str]:
    last, limit_s = farm.repository.diagnostics.last_sweep(), farm.settings.worker.heartbeat_limit
    overdue = last is None or last.seconds_ago > 2 * limit_s
    if overdue and farm.repository.jobs.open_ids():
        yield "Jobs are open and nobody repairs what breaks: every worker does, or `renderctl sweep`."
