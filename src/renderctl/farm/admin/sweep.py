"""`sweep`: what crashed becomes what is queued again. Any worker does it; one at a time."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from renderctl.core.actors import Actor
from renderctl.core.errors import DatabaseUnavailable, NotFound, RenderctlError
from renderctl.core.ids import new_id
from renderctl.core.jobs import Attempt, Job
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.jobs.remove import apply_retention
from renderctl.farm.jobs.status import invalidate
from renderctl.farm.jobs.tickets import enqueue_ticket

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class SweepReport:
    """What a sweep found and repaired."""

    held: bool  #: False: another one is sweeping; nothing was done
    watched: bool  #: False: workers still have time to report, so none was given up
    lost_workers: tuple[str, ...] = ()
    requeued: int = 0
    ended: tuple[str, ...] = ()
    tickets: int = 0
    canceled: int = 0


def sweep(farm: Farm, sweeper: str, *, afresh: bool = False) -> SweepReport:
    """One sweep in the name of `sweeper`, who keeps the lease for a heartbeat limit.

    `afresh`: the sweeper has seen the database fail, and expires nobody for that time.
    """
    watch = farm.repository.recovery.acquire_sweep_lease(sweeper, renew_start=afresh)
    if not watch.held:
        return SweepReport(held=False, watched=False)
    if watch.clock_set_back:
        logger.warning("the database's clock was set back: what lay ahead of it counts as of now")
        _step("reset times that lie ahead", farm.repository.recovery.reset_future_times, 0)
    lost_workers, attempts = _expired(farm) if watch.may_expire else ([], [])
    for worker in lost_workers:
        logger.warning("worker %s went silent: its tasks are queued again", worker)
    for suspect in _list("quarantine workers", farm.repository.workers.quarantine):
        logger.warning("worker %s is quarantined: %s", suspect.worker_id, suspect.reason)
    canceled = _step("finish cancellations", farm.repository.recovery.finish_cancellations, 0)
    freed = [
        *_list("unbind jobs", farm.repository.recovery.release_reservations),
        *_list("free jobs", farm.repository.recovery.unblock_dependents),
    ]
    ended = [
        job_id for job_id in _list("find jobs to end", farm.repository.recovery.finishable_jobs) if _ended(farm, job_id)
    ]
    hungry = {job.id: job for job in _list("find unserved jobs", farm.repository.recovery.unserved_jobs)}
    hungry |= _present(farm, {*freed, *(attempt.job_id for attempt in attempts)})
    for job in hungry.values():
        enqueue_ticket(farm, job)
    corrected = _list("compare counts", farm.repository.count_checks.check_sample)
    for wrong in corrected:
        logger.warning("counts were wrong and have been corrected, which is a fault of renderctl: %s", wrong)
    for job_id in {*hungry, *ended, *(wrong.job_id for wrong in corrected)}:
        invalidate(farm, job_id)
    _step("apply retention", partial(apply_retention, farm), None)
    _step(
        "read the end of the audit log", farm.repository.audit_chain.head, None
    )  # what follows it is not cut off unseen
    return SweepReport(True, watch.may_expire, tuple(lost_workers), len(attempts), tuple(ended), len(hungry), canceled)


def _step(name: str, step: Callable[[], Result], otherwise: Result) -> Result:
    """A step of the sweep, which holds up no other one: what nobody has foreseen is logged, and tried again next time.

    Raises DatabaseUnavailable: then there is no use in the other steps.
    """
    try:
        return step()
    except DatabaseUnavailable:
        raise
    except Exception as error:
        logger.error("the sweep could not %s: %s", name, error, exc_info=not isinstance(error, RenderctlError))
        return otherwise


def _list(name: str, step: Callable[[], list[Result]]) -> list[Result]:
    """As `_step`; nothing where it fails."""
    return _step(name, step, [])


def _expired(farm: Farm) -> tuple[list[str], list[Attempt]]:
    nobody: tuple[list[str], list[Attempt]] = [], []
    return _step("expire workers", farm.repository.recovery.expire_silent, nobody)


def _present(farm: Farm, job_ids: set[str]) -> dict[str, Job]:
    """Those of the jobs that were not removed meanwhile."""
    present = {}
    for job_id in job_ids:
        with suppress(NotFound):
            present[job_id] = farm.repository.jobs.get(job_id)
    return present


def sweep_here(farm: Farm, actor: Actor, *, wait: bool) -> SweepReport:
    """A sweep by a person; with `wait`, not before silent workers have had their time to report.

    A sweeper that died keeps its lease for a heartbeat limit: with `wait` it is outwaited, too.
    """
    require(farm, actor, "farm.sweep")
    sweeper = f"sweep-{new_id()}"
    settings = farm.settings.worker
    patience = farm.clock.monotonic() + settings.heartbeat_limit + settings.heartbeat
    try:
        while True:
            swept = sweep(farm, sweeper)
            outwaited = not swept.held and farm.clock.monotonic() >= patience
            if swept.watched or outwaited or not wait:
                return swept
            farm.clock.wait(None, settings.heartbeat)
    finally:
        farm.repository.recovery.release_sweep_lease(sweeper)


def finish_job_if_done(farm: Farm, job_id: str) -> JobState | None:
    """End the job if nothing of it is open, and start what waited for it; its state if it has ended."""
    state = farm.repository.jobs.finish_if_done(job_id)
    if state is not None:
        for dependent in farm.repository.jobs.dependents(job_id):
            enqueue_ticket(farm, dependent)
    return state


def _ended(farm: Farm, job_id: str) -> bool:
    return _step(f"end job {job_id}", partial(finish_job_if_done, farm, job_id), None) is not None
