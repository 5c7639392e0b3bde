"""Whose turn it is: tickets from the queue, and the database when the queue has nothing or is away."""

import logging
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace

from renderctl.core.attempts import Claim, Claimant
from renderctl.core.errors import NotFound, QueueUnavailable
from renderctl.core.jobs import Attempt, Job
from renderctl.core.states import ENDED_JOB, JobState
from renderctl.core.workers import Capabilities
from renderctl.farm import Farm
from renderctl.farm.jobs.tickets import enqueue_ticket
from renderctl.farm.jobs.waiting_reasons import waiting_reason
from renderctl.farm.worker.job_poll import JobPoll
from renderctl.queues import Ticket

logger = logging.getLogger(__name__)

#: Seconds between two looks of a slot that waits for what other slots do.
_GLANCE_S = 0.2
#: Seconds at most between two looks of a slot at its own job.
_OWN_JOB_S = 1.0


class WorkSource(ABC):
    """Where a slot gets its work."""

    def __init__(self, farm: Farm, claimant: Claimant) -> None:
        self._farm = farm
        self._claimant = claimant

    def set_capabilities(self, capabilities: Capabilities) -> None:
        """Ask from now on as a worker that can do this."""
        if capabilities != self._claimant.capabilities:
            self._claimant = replace(self._claimant, capabilities=capabilities)

    @abstractmethod
    def next(self, stop: threading.Event) -> Claim:
        """The next turn; one without attempts when there was nothing for a while. Raises DatabaseUnavailable."""

    def claim_more(self, job: Job, limit: int) -> tuple[Attempt, ...]:
        """Further tasks of the job that the slot works on. Raises DatabaseUnavailable."""
        return self._farm.repository.attempts.claim(job.id, self._claimant, limit=limit).attempts

    @abstractmethod
    def leave(self, job: Job, *, released: bool) -> None:
        """The slot leaves the job."""

    def exhausted(self) -> bool:
        """Whether there is nothing more to come."""
        return False


class QueueSource(WorkSource):
    """Turns at every job of the worker's pools, until there was none for `idle_exit_s` seconds (None: for ever)."""

    def __init__(
        self, farm: Farm, claimant: Claimant, idle_exit_s: float | None = None, *, poll: JobPoll | None = None
    ) -> None:
        """`poll`: which the slots of a worker share."""
        super().__init__(farm, claimant)
        self._idle_exit_s = idle_exit_s
        self._busy_at = farm.clock.monotonic()
        self._poll = poll or JobPoll(farm, idle_exit_s=idle_exit_s)

    def next(self, stop: threading.Event) -> Claim:
        ticket = self._ticket(stop)
        if ticket is not None:
            claim = self._farm.repository.attempts.claim(ticket.job_id, self._claimant, serial=ticket.serial)
            self._put_back(ticket.job_id, claim)
            return claim
        job_id, claim = self._poll.poll(self._claimant)
        if claim.attempts:
            self._put_back(job_id, claim)
        return claim

    def exhausted(self) -> bool:
        return self._idle_exit_s is not None and self._farm.clock.monotonic() - self._busy_at > self._idle_exit_s

    def leave(self, job: Job, *, released: bool) -> None:
        self._busy_at = self._farm.clock.monotonic()
        self._poll.slot_is_free()
        if released or job.max_slots is not None or job.in_order:
            with suppress(NotFound):  # it was removed: nobody needs a turn at it
                enqueue_ticket(self._farm, self._farm.repository.attempts.leave_job(job.id))

    def _ticket(self, stop: threading.Event) -> Ticket | None:
        """One that comes before the next poll is due."""
        try:
            ticket = self._farm.queue.get(self._claimant.pools, self._poll.seconds_to_next(), stop)
        except QueueUnavailable as error:
            self._poll.miss_queue(error)
            self._wait_for_poll(stop)
            return None
        self._poll.reach_queue()
        return ticket

    def _wait_for_poll(self, stop: threading.Event) -> None:
        """Until it is time; sooner if another slot finds something, for there may be more."""
        while (left_s := self._poll.seconds_to_next()) > 0 and not self._farm.clock.wait(stop, min(_GLANCE_S, left_s)):
            pass

    def _put_back(self, job_id: str, claim: Claim) -> None:
        """The next free slot takes the next job: the ticket goes to the tail straight away."""
        if claim.serial is None:
            return
        try:
            job = claim.job or self._farm.repository.jobs.get(job_id)
            self._farm.queue.put(
                Ticket(job_id, claim.serial), pool=job.pool, priority=job.priority, delay_s=claim.delay_s
            )
        except NotFound:
            logger.debug("job %s was removed", job_id)
        except QueueUnavailable as error:
            self._poll.miss_queue(error)


class ReservedJobSource(WorkSource):
    """Turns at one job that is bound to this worker, until that has ended: `render`.

    One that somebody paused, or that waits for another one, is waited for, and it is said why.
    """

    def __init__(self, farm: Farm, claimant: Claimant, job_id: str) -> None:
        super().__init__(farm, claimant)
        self._job_id = job_id
        self._exhausted = False
        self._reason: str | None = None  # why there is nothing to render, as it was last said

    def next(self, stop: threading.Event) -> Claim:
        claim = self._farm.repository.attempts.claim(self._job_id, self._claimant)
        if claim.attempts:
            self._reason = None
        elif not self._ended(unclaimable=claim.serial is None):
            self._farm.clock.wait(stop, min(claim.delay_s or _GLANCE_S, _OWN_JOB_S))
        return claim

    def _ended(self, *, unclaimable: bool) -> bool:
        """Whether the job is over; `unclaimable`: nothing of it may be claimed until somebody does something."""
        try:
            job = self._farm.repository.jobs.get(self._job_id)
            counts = self._farm.repository.tasks.counts(self._job_id)
        except NotFound:  # it was removed
            self._exhausted = True
            return True
        self._exhausted = job.state in ENDED_JOB
        reason = waiting_reason(self._farm, job, counts, {}) if unclaimable and not counts.running else None
        if reason is not None and reason != self._reason:
            hint = f" `renderctl resume {job.id}` goes on with it." if job.state is JobState.PAUSED else ""
            logger.warning("Job %s renders nothing at the moment: %s.%s", job.id, reason, hint)
        self._reason = reason
        return self._exhausted

    def leave(self, job: Job, *, released: bool) -> None:
        """Nobody else has a ticket for it."""

    def exhausted(self) -> bool:
        return self._exhausted
