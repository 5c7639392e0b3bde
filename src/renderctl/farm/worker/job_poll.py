"""How the idle slots of a worker ask the database for work: one of them for all, and ever more rarely."""

import logging
import random
import threading
from collections.abc import Callable

from renderctl.core.attempts import Claim, Claimant
from renderctl.core.errors import QueueUnavailable
from renderctl.farm import Farm

logger = logging.getLogger(__name__)

#: Seconds between two polls of a worker: less often the longer there was no work, while there is a queue.
_FIRST_S, _LAST_S = 1.0, 5.0
#: How many polls a second all idle workers of a farm make together, about.
_FARM_RATE = 100.0
#: Jobs that one question names, and how many questions are asked in a row while their answers lead to nothing.
_JOBS, _PAGES = 10, 5
#: Seconds for which a job is passed over that had nothing for this worker, but something for others.
_PASSED_OVER_S = 30.0


class JobPoll:
    """Shared by the slots of a worker: what one of them did not find, no other one looks for."""

    def __init__(
        self, farm: Farm, idle_workers: Callable[[], int] = lambda: 0, *, idle_exit_s: float | None = None
    ) -> None:
        """`idle_workers`: of the whole farm, as far as it is known. Before a slot leaves, idle, it has polled."""
        self._farm = farm
        self._idle_workers = idle_workers
        self._longest_s = None if idle_exit_s is None else 0.75 * idle_exit_s
        self._polling = threading.Lock()
        self._interval_s = _FIRST_S
        self._due_at = farm.clock.monotonic() + self._spread(_FIRST_S)
        self._passed_over: dict[str, float] = {}  # jobs, and until when
        self._queue_is_away = False

    def seconds_to_next(self) -> float:
        """Seconds until the next poll is due."""
        return max(0.0, self._due_at - self._farm.clock.monotonic())

    def slot_is_free(self) -> None:
        """A slot has ended its turn. It waits for a ticket first, if there may be one."""
        now = self._farm.clock.monotonic()
        soon = now if self._queue_is_away else now + self._spread(_FIRST_S)
        self._interval_s = _FIRST_S
        self._due_at = soon if self._due_at <= now else min(self._due_at, soon)

    def poll(self, claimant: Claimant) -> tuple[str, Claim]:
        """A claim for the slot, and the job that it is of; one without attempts when there is none, or it is too early.

        Raises DatabaseUnavailable.
        """
        if not self._polling.acquire(blocking=False):
            return "", Claim()
        try:
            if self.seconds_to_next() > 0:
                return "", Claim()
            self._due_at = self._farm.clock.monotonic() + self._next_interval_s()
            job_id, claim = self._claim_first(claimant)
            if claim.attempts:  # there may be more: the next free slot asks at once
                self._interval_s, self._due_at = _FIRST_S, self._farm.clock.monotonic()
            return job_id, claim
        finally:
            self._polling.release()

    def miss_queue(self, error: QueueUnavailable) -> None:
        """The queue did not answer: say it once, not every second until it is back."""
        if not self._queue_is_away:
            self._queue_is_away = True
            logger.warning("%s Until it is back the database is asked for work.", error)
            self._hurry()

    def reach_queue(self) -> None:
        """The queue has answered."""
        if self._queue_is_away:
            self._queue_is_away = False
            logger.info("the queue is back")

    def _claim_first(self, claimant: Claimant) -> tuple[str, Claim]:
        """Claim from the first job that has something for this worker; those that have not are passed over."""
        now = self._farm.clock.monotonic()
        self._passed_over = {job_id: until for job_id, until in self._passed_over.items() if until > now}
        tried = set(self._passed_over)
        for _ in range(_PAGES):
            limit = _JOBS + len(tried)
            waiting = self._farm.repository.attempts.claimable_jobs(claimant, limit=limit)
            for job_id in waiting:
                if job_id in tried:
                    continue
                claim = self._farm.repository.attempts.claim(job_id, claimant)
                if claim.attempts:
                    return job_id, claim
                if claim.serial is not None:  # it has something, but not for this worker
                    self._passed_over[job_id] = now + _PASSED_OVER_S
                tried.add(job_id)
            if len(waiting) < limit:
                return "", Claim()
        self._interval_s = _FIRST_S  # there are more
        return "", Claim()

    def _next_interval_s(self) -> float:
        """Seconds until the poll that follows this one, if it is in vain.

        Nobody waits long for the first frame of a job: the more workers are idle, the sooner one of them polls.
        """
        interval_s = max(self._interval_s, self._idle_workers() / _FARM_RATE)
        self._interval_s = _FIRST_S if self._queue_is_away else min(2 * self._interval_s, _LAST_S)
        return self._spread(interval_s)

    def _hurry(self) -> None:
        """Poll soon, but not all at once: a whole farm misses its queue at the same moment."""
        self._interval_s = _FIRST_S
        soon_s = random.uniform(0.0, 1.0) * self._spread(max(_FIRST_S, self._idle_workers() / _FARM_RATE))
        self._due_at = min(self._due_at, self._farm.clock.monotonic() + soon_s)

    def _spread(self, seconds: float) -> float:
        """About so many seconds: workers that were started together do not poll together."""
        seconds *= random.uniform(0.75, 1.0)
        return seconds if self._longest_s is None else min(seconds, self._longest_s)
