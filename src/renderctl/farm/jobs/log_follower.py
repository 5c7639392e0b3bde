"""The logs of a job as they grow: whose are looked at, and how far each of them was read."""

import codecs
import logging

from renderctl.core.errors import StoreUnavailable
from renderctl.core.jobs import Attempt
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, AttemptState
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import PIECE, LogPart, kept_log

logger = logging.getLogger(__name__)

#: Running attempts of one look; where more run at the same time, the next look is at the next ones.
_RUNNING = 50
#: Ended attempts of one look, and of the first: what ended before them is not told of.
_ENDED = 50
#: The newest ended attempts, among which those are found that began and ended between two looks.
_NEWEST = 200


class LogFollower:
    """How far the logs of a job, or of one task of it, were read.

    A look costs the same however many attempts there are. Where more than a few hundred frames end a second, some of
    them are passed over.
    """

    def __init__(self, farm: Farm, job_id: str, task_number: int | None = None) -> None:
        self.over = False  #: the job has ended, and all was read
        self.has_more = False  #: there is more to be read at once
        self._farm = farm
        self.job_id = job_id
        self._task_number = task_number
        self._readers: dict[str, _Reader] = {}  # of the attempts that are not read to their ends, by their ids
        self._read: set[str] = set()  # those of the newest ended ones that are
        self._began = False
        self._after = 0  # the task up to which running attempts were looked at

    def news(self) -> list[LogPart]:
        """What was printed since the last look, or the next piece of it. Raises NotFound, StoreUnavailable."""
        over = self._farm.repository.jobs.get(self.job_id).state in ENDED_JOB
        self.has_more = False
        parts: list[LogPart] = []
        for attempt in self._to_look_at(over=over):
            reader = self._readers.setdefault(attempt.id, _Reader(self._farm, attempt.number))
            try:
                text = reader.news(attempt)
            except StoreUnavailable:
                if not parts:
                    raise
                return parts  # what was read is told; the next look meets the rest
            if text:
                parts.append(LogPart(attempt, text))
            if reader.has_more:  # of one after the other, or the pieces of many would come to much
                self.has_more = True
                return parts
            if reader.done:
                self._readers.pop(attempt.id)
                self._read.add(attempt.id)
        self.over = over and not self.has_more
        return parts

    def _to_look_at(self, *, over: bool) -> list[Attempt]:
        """Attempts that may have printed something: first those that have ended since, then some that run."""
        repository = self._farm.repository
        if self._task_number is not None:
            attempts = repository.attempts.of_job(self.job_id, self._task_number)
            return [attempt for attempt in attempts if attempt.id not in self._read]
        running = repository.attempts.running(self.job_id, after=self._after, limit=_RUNNING)
        first, last = self._after, running[-1].number if len(running) == _RUNNING else None
        self._after = last or 0
        running_ids = {attempt.id for attempt in running}
        left = {  # those that ran when they were last looked at, and would be among these
            attempt_id
            for attempt_id, reader in self._readers.items()
            if attempt_id not in running_ids
            and (over or (reader.number > first and (last is None or reader.number <= last)))
        }
        ended = repository.change_feed.attempts(sorted(left | self._new_ended()))
        return [*sorted(ended, key=lambda attempt: attempt.id), *running]

    def _new_ended(self) -> set[str]:
        """Some of those that have ended since the last look, the oldest first."""
        newest = self._farm.repository.change_feed.newest_ended_attempt_ids(self.job_id, _NEWEST)
        if not self._began:
            self._began, self._read = True, set(newest[_ENDED:])
        self._read &= set(newest)
        new = [attempt_id for attempt_id in reversed(newest) if attempt_id not in self._read]
        self.has_more = len(new) > _ENDED
        return set(new[:_ENDED])


class _Reader:
    """How far a follower has read the log of one attempt."""

    def __init__(self, farm: Farm, number: int) -> None:
        self.number = number  #: of the task
        self.has_more = False
        self.done = False  #: the attempt has ended, and all of it was read
        self._farm = farm
        self._known = 0
        self._look_at = 0.0  # when the store is looked at, for want of anything newer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def news(self, attempt: Attempt) -> str:
        """What was not read yet, or the next piece of it."""
        if self.done or attempt.state is AttemptState.CLAIMED:
            return ""
        if attempt.state in OPEN_ATTEMPT:
            return self._decoder.decode(self._live(attempt))
        text = b"".join(kept_log(self._farm, attempt, self._known, self._known + PIECE))
        self._known += len(text)
        self.has_more = len(text) == PIECE
        self.done = not self.has_more  # not before: who follows may bear with a store that is away
        return self._decoder.decode(text, final=self.done)

    def _live(self, attempt: Attempt) -> bytes:
        """From the cache; what it has lost, and everything while it is away, from the store, a heartbeat late."""
        live, end = self._farm.cache.tail(f"log:{attempt.id}", self._known)
        begin, now = end - len(live), self._farm.clock.monotonic()
        text = live
        if begin > self._known or (not live and now >= self._look_at):
            upto = min(begin, self._known + PIECE) if live else self._known + PIECE
            text = _stored(self._farm, attempt, self._known, upto)
            self.has_more = len(text) == PIECE
            if live and not self.has_more:  # between the two may be what neither has
                text += live
            else:
                end = self._known + len(text)
        else:
            self.has_more = False
        if text or now >= self._look_at:
            self._look_at = now + self._farm.settings.worker.heartbeat
        self._known = max(self._known, end)
        return text


def _stored(farm: Farm, attempt: Attempt, start: int, end: int) -> bytes:
    """What the store has of a part of a log that grows; nothing while the store is away."""
    try:
        return b"".join(kept_log(farm, attempt, start, end))
    except StoreUnavailable as error:
        logger.debug("the log of %s is out of reach: %s", attempt.id, error)
        return b""
