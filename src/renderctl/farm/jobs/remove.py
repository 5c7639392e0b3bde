"""`jobs rm` and retention: ended jobs are removed, by a person or when their time is over."""

import logging
import math
from collections.abc import Sequence
from datetime import timedelta

from renderctl.core.actors import Actor, Via
from renderctl.core.errors import InvalidInput, NotFound, RenderctlError, did_you_mean
from renderctl.core.jobs import RemovedJob
from renderctl.core.permissions import visibility_of
from renderctl.core.states import ENDED_JOB, OPEN_JOB, JobState
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.status import invalidate
from renderctl.farm.jobs.tickets import enqueue_ticket

logger = logging.getLogger(__name__)

_RETENTION = Actor("retention", "farm")
#: Seconds between two looks at what is kept too long, and seconds of a sweep that may go into deleting rows.
_LOOK_EVERY_S, _ERASE_S = 3600.0, 0.5
#: Seconds for which somebody who comes through a server waits for the rows to go; sweeps delete the rest.
_ERASE_FOR_CLIENT_S = 10.0


def remove_jobs(
    farm: Farm, actor: Actor, refs: Sequence[str], *, force: bool = False, dry_run: bool = False
) -> list[RemovedJob]:
    """Remove ended jobs with all that they rendered; the files go with the next `gc`. With `force` open ones, too.

    A job that waits for another of them is removed before it. Raises NotFound, IllegalTransition, Conflict.
    """
    jobs = {job.id: job for job in (authorized_job(farm, actor, ref, "job.remove") for ref in refs)}
    removed = []
    for job_id in sorted(jobs, reverse=True):  # who waits is younger than what it waits for
        if force and not dry_run and jobs[job_id].state in OPEN_JOB:
            farm.repository.jobs.cancel(job_id, actor=actor)
            invalidate(farm, job_id)
        if not dry_run:
            _wait_until_idle(farm, job_id)
        removed.append(_remove(farm, job_id, actor, dry_run=dry_run))
    if not dry_run:
        _erase(farm, math.inf if actor.via is Via.LOCAL else _ERASE_FOR_CLIENT_S)
    return removed


def select_jobs(farm: Farm, actor: Actor, *, older_than: timedelta, states: Sequence[str] = ()) -> list[str]:
    """Jobs that the actor may remove and that ended in one of the states (none: in any) longer ago than that.

    Raises InvalidInput.
    """
    for state in states:
        if state not in ENDED_JOB:
            raise InvalidInput(f"Jobs do not end {state!r}.", hint=did_you_mean(state, sorted(ENDED_JOB)))
    days = older_than.total_seconds() / 86_400
    ages = {state: days for state in map(JobState, states or ENDED_JOB)}
    return farm.repository.jobs.older_than(ages, visibility=visibility_of(actor, "job.remove"))


def apply_retention(farm: Farm) -> None:
    """A part of a sweep: what the settings keep no longer goes, a little at a time."""
    retention = farm.settings.retention
    limits = {
        JobState.SUCCEEDED: retention.succeeded_days,
        JobState.FAILED: retention.failed_days,
        JobState.CANCELED: retention.canceled_days,
    }
    days = {state: limit for state, limit in limits.items() if limit is not None}
    wanted = days or any(
        days_kept is not None for days_kept in (retention.audit_days, retention.worker_days, retention.delivery_days)
    )
    if wanted and farm.repository.leases.take_turn("retention", _LOOK_EVERY_S):
        for job_id in reversed(farm.repository.jobs.older_than(days)):
            _remove_if_possible(farm, job_id)
        while retention.audit_days is not None and farm.repository.audit.delete_older_than(
            retention.audit_days, actor=_RETENTION
        ):
            pass
        while retention.worker_days is not None and farm.repository.workers.delete_unseen(retention.worker_days):
            pass
        while retention.delivery_days is not None and farm.repository.deliveries.delete_ended(retention.delivery_days):
            pass
    _erase(farm, _ERASE_S)


def _erase(farm: Farm, seconds: float) -> None:
    """Delete rows of removed jobs for up to so long, resting as long as working: SQLite lets one write at a time."""
    ends = farm.clock.monotonic() + seconds
    while (began := farm.clock.monotonic()) < ends and farm.repository.recovery.delete_removed_batch():
        farm.clock.wait(None, max(0.01, farm.clock.monotonic() - began))


def _remove_if_possible(farm: Farm, job_id: str) -> None:
    try:
        _remove(farm, job_id, _RETENTION, dry_run=False)
    except RenderctlError as error:  # another job waits for it, or it was tried again: the next look sees
        logger.info("job %s is kept: %s", job_id, error, extra={"job": job_id})


def _remove(farm: Farm, job_id: str, actor: Actor, *, dry_run: bool) -> RemovedJob:
    removed = farm.repository.jobs.remove(job_id, actor=actor, dry_run=dry_run)
    invalidate(farm, job_id)
    for freed in removed.freed:
        enqueue_ticket(farm, farm.repository.jobs.get(freed))
    return removed


def _wait_until_idle(farm: Farm, job_id: str) -> None:
    """Workers hear of a cancellation with their next heartbeat."""
    settings = farm.settings.worker
    patience = farm.clock.monotonic() + settings.heartbeat_limit + 2 * settings.heartbeat
    while farm.repository.workers.on_job(job_id) and farm.clock.monotonic() < patience:
        try:
            farm.clock.wait(None, 0.1)
            if farm.repository.jobs.get(job_id).state in OPEN_JOB:
                return
        except NotFound:
            return
