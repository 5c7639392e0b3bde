"""`sweep`: what crashed becomes what is queued again. Any worker does it; one at a time."""

import logging
from dataclasses import dataclass

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.gate import admit
from renderctl.farm.remove import retain
from renderctl.farm.status import forget
from renderctl.farm.submit import put_ticket
from renderctl.ids import new_id
from renderctl.states import JobState

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Swept:
    """What a sweep found and repaired."""

    held: bool  #: False: another one is sweeping; nothing was done
    watched: bool  #: False: workers still have time to report, so none was given up
    lost_workers: tuple[str, ...] = ()
    requeued: int = 0
    ended: tuple[str, ...] = ()
    tickets: int = 0
    canceled: int = 0


def sweep(farm: Farm, sweeper: str, *, afresh: bool = False) -> Swept:
    """One sweep in the name of `sweeper`, who keeps the lease for a heartbeat limit.

    `afresh`: the sweeper has seen the database fail, and expires nobody for that time.
    """
    watch = farm.repository.keep_watch(sweeper, afresh=afresh)
    if not watch.held:
        return Swept(held=False, watched=False)
    lost_workers, attempts = farm.repository.expire() if watch.may_expire else ([], [])
    for worker in lost_workers:
        logger.warning("worker %s went silent: its tasks are queued again", worker)
    for each in farm.repository.quarantine():
        logger.warning("worker %s is quarantined: %s", each.worker_id, each.reason)
    canceled = farm.repository.finish_cancellations()
    freed = [*farm.repository.unbind(), *farm.repository.free_dependents()]
    ended = [job_id for job_id in farm.repository.ripe_jobs() if _ended(farm, job_id)]
    hungry = {job_id: farm.repository.job(job_id) for job_id in {*freed, *(each.job_id for each in attempts)}}
    hungry |= {job.id: job for job in farm.repository.unserved_jobs()}
    for job in hungry.values():
        put_ticket(farm, job)
    for job_id in {*hungry, *ended}:
        forget(farm, job_id)
    retain(farm)
    farm.repository.audit_head()  # so that what follows it can not be cut off unseen
    return Swept(True, watch.may_expire, tuple(lost_workers), len(attempts), tuple(ended), len(hungry), canceled)


def sweep_here(farm: Farm, *, wait: bool, actor: Actor) -> Swept:
    """A sweep by a person; with `wait`, not before silent workers have had their time to report.

    A sweeper that died keeps its lease for a heartbeat limit: with `wait` it is outwaited, too.
    """
    admit(farm, actor, "farm.sweep")
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
        farm.repository.end_watch(sweeper)


def settle(farm: Farm, job_id: str) -> JobState | None:
    """End the job if nothing of it is open, and start what waited for it; its state if it has ended."""
    state = farm.repository.settle(job_id)
    if state is JobState.SUCCEEDED:
        for dependent in farm.repository.dependents(job_id):
            put_ticket(farm, dependent)
    return state


def _ended(farm: Farm, job_id: str) -> bool:
    return settle(farm, job_id) is not None
