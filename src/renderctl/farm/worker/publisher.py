"""What Blender wrote becomes a result: checked, stored, and only then completed. It never gives up on storage away."""

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from renderctl.blender.events import Opened, Rendered, Written
from renderctl.blender.failures import SessionStopped
from renderctl.core.attempts import Completion, Cost
from renderctl.core.errors import (
    BadImage,
    BlobCollected,
    DatabaseUnavailable,
    DecoderUnavailable,
    DigestMismatch,
    InvalidInput,
    RenderctlError,
    StoreUnavailable,
)
from renderctl.core.jobs import FORMATS, Attempt, Failure, Output
from renderctl.core.redaction import redacted
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done
from renderctl.farm.jobs.status import invalidate
from renderctl.farm.jobs.tickets import enqueue_ticket
from renderctl.farm.models.file_hashes import hash_file
from renderctl.farm.worker.attempt_dir import AttemptDir, collected_within
from renderctl.farm.worker.failures import failure_from, unexpected_failure
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.log_bundle import store_log, store_together
from renderctl.farm.worker.retries import STORE_LIMIT_S, Retries

logger = logging.getLogger(__name__)

#: Seconds that a store may be away before a log is given up.
_LOG_LIMIT_S = 60.0
_NOTHING = Cost()
#: Frames that are checked and stored at a time.
_PARALLEL = 4


@dataclass(frozen=True)
class RenderedFrame:
    """A frame that Blender says is done."""

    attempt: Attempt
    rendered: Rendered
    opened: Opened
    attempt_dir: AttemptDir
    next_attempt: Attempt | None  #: the attempt that Blender works on already
    stop: threading.Event  #: whether the attempt has to stop

    @property
    def log(self) -> Path:
        return self.attempt_dir.log

    @property
    def cost(self) -> Cost:
        return Cost(self.rendered.seconds, self.rendered.memory_mb, self.opened.device)


@dataclass(frozen=True)
class StoredFrame:
    """A finished frame whose outputs are in the store."""

    finished: RenderedFrame
    outputs: tuple[Output, ...]

    @property
    def attempt(self) -> Attempt:
        return self.finished.attempt


#: What became of a finished frame: it is stored, or why it is not.
Outcome = StoredFrame | RenderctlError


@dataclass(frozen=True)
class ReportedFailure:
    """A failure that the farm knows of."""

    failure: Failure
    delay_s: float | None  #: until the task is tried again; None: it has failed for good


@dataclass(frozen=True)
class PublishedFrame:
    attempt: Attempt
    outputs: tuple[Output, ...]
    seconds: float


class Publisher:
    """Publishes finished frames and reports failures, whatever is away in the meantime."""

    def __init__(self, farm: Farm, health: Health, halt: threading.Event) -> None:
        self._farm = farm
        self._health = health
        self._halt = halt
        self.retries = Retries(farm.clock, halt)
        self._store_pool = ThreadPoolExecutor(_PARALLEL, "storing")  # its threads start when they are needed

    def publish(self, batch: Sequence[RenderedFrame]) -> list[PublishedFrame | Failure | None]:
        """Publish frames of one job. For each: that it is, or the failure that its attempt ended with.

        None: it was stopped, or its task belongs to another attempt by now.
        """
        outcomes_in_order = (
            list(self._store_pool.map(self._store_frame, batch)) if len(batch) > 1 else [self._store_frame(batch[0])]
        )
        # after the outputs: when they have outwaited a store that was away, the logs seldom have to
        log_keys = self._store_logs(batch, outcomes_in_order)
        outcomes = dict(zip((frame.attempt.id for frame in batch), outcomes_in_order, strict=True))
        superseded = self._complete(outcomes, log_keys, batch)
        results = [self._report(frame, outcomes[frame.attempt.id], superseded) for frame in batch]
        if batch[-1].next_attempt is None:  # else a task of the job is open, and it can not have ended
            self.retries.until_database_is_back(lambda: finish_job_if_done(self._farm, batch[0].attempt.job_id))
        return results

    def release_decoders(self, slot_dir: Path) -> None:
        """End the decoders that have seen frames of this job, before those of another one are decoded."""
        self._farm.decoder.release(collected_within(slot_dir))

    def _store_logs(self, batch: Sequence[RenderedFrame], outcomes_in_order: Sequence[Outcome]) -> Mapping[str, str]:
        """Store the logs of several stored frames together, any other by itself; return the keys of the former.

        For the form of a key see `Attempt.log`.
        """
        stored = [outcome.finished for outcome in outcomes_in_order if isinstance(outcome, StoredFrame)]
        together = stored if len(batch) > 1 else []
        for finished, outcome in zip(batch, outcomes_in_order, strict=True):
            if finished not in together:
                # a frame that is published has a log, even if its job was canceled a moment ago
                stop = self._halt if isinstance(outcome, StoredFrame) else finished.stop
                self.store_log(finished.attempt, finished.log, stop)
        logs = {frame.attempt.id: frame.log for frame in together}
        try:
            return self.retries.until_store_is_back(lambda: store_together(self._farm, logs), self._halt, _LOG_LIMIT_S)
        except (StoreUnavailable, OSError, SessionStopped) as error:
            logger.warning("the logs of %d tasks were not kept: %s", len(together), error)
            return {}

    def _store_frame(self, finished: RenderedFrame) -> Outcome:
        """The frame's outputs in the store, or why they are not."""
        try:
            files = enumerate(finished.rendered.files)
            return StoredFrame(
                finished, tuple(self._store_output(finished, written, main=not index) for index, written in files)
            )
        except (BadImage, DecoderUnavailable, DigestMismatch, InvalidInput, StoreUnavailable, SessionStopped) as error:
            return error
        except DatabaseUnavailable:
            raise
        except Exception as error:  # what a session leaves can bring about what nobody has thought of
            logger.exception("unexpected while task %s was published", finished.attempt.task_id)
            return RenderctlError(unexpected_failure(error).reason)

    def _report(
        self, finished: RenderedFrame, outcome: Outcome, superseded: frozenset[str]
    ) -> PublishedFrame | Failure | None:
        """Tell the farm of what was not published."""
        attempt = finished.attempt
        if isinstance(outcome, StoredFrame):
            if attempt.id not in superseded:
                return PublishedFrame(attempt, outcome.outputs, finished.rendered.seconds)
            logger.warning(
                "Task %s belongs to another attempt by now. Its result is thrown away.",
                attempt.task_id,
                extra={"job": attempt.job_id, "task": attempt.task_id},
            )
            return None
        if isinstance(outcome, SessionStopped):
            self.retries.until_database_is_back(lambda: self._farm.repository.attempts.cancel(attempt))
            return None
        return self.fail(attempt, failure_from(outcome), finished.cost).failure

    def _complete(
        self, outcomes: dict[str, Outcome], log_keys: Mapping[str, str], batch: Sequence[RenderedFrame]
    ) -> frozenset[str]:
        """Complete what is stored; what was collected before anything pointed to it is stored again.

        Blender has begun with the others, too, and with the attempt after them: that is said in the same transaction.
        """
        repository, since = self._farm.repository, None
        while stored := [outcome for outcome in outcomes.values() if isinstance(outcome, StoredFrame)]:
            done = [
                Completion(frame.attempt, frame.outputs, frame.finished.cost, log_keys.get(frame.attempt.id))
                for frame in stored
            ]
            try:
                return self.retries.until_database_is_back(
                    partial(repository.attempts.complete_all, done, starting=_begun(outcomes, batch), since=since)
                )
            except BlobCollected:
                logger.warning("a result of job %s was collected: it is stored again", done[0].attempt.job_id)
            digests = {output.digest for frame in stored for output in frame.outputs}
            self.retries.until_database_is_back(partial(repository.blobs.unknown, digests))
            since = self.retries.until_database_is_back(repository.time)
            outcomes |= {frame.attempt.id: self._store_frame(frame.finished) for frame in stored}
        for attempt in _begun(outcomes, batch):
            self.retries.until_database_is_back(partial(repository.attempts.start, attempt))
        return frozenset()

    def fail(self, attempt: Attempt, failure: Failure, cost: Cost = _NOTHING) -> "ReportedFailure":
        """Report a failure, with what the node's health adds to it."""
        failure = self._health.explain(failure)
        failure = replace(failure, reason=redacted(failure.reason, self._farm.settings))
        logger.warning(
            "task %s failed: %s",
            attempt.task_id,
            failure.reason,
            extra={"job": attempt.job_id, "task": attempt.task_id},
        )
        delay_s = self.retries.until_database_is_back(
            lambda: self._farm.repository.attempts.fail(attempt, failure, cost)
        )
        if delay_s is None:
            self.retries.until_database_is_back(lambda: finish_job_if_done(self._farm, attempt.job_id))
        else:
            self.retries.until_database_is_back(
                lambda: enqueue_ticket(self._farm, self._farm.repository.jobs.get(attempt.job_id), delay_s)
            )
        invalidate(self._farm, attempt.job_id)
        return ReportedFailure(failure, delay_s)

    def store_log(self, attempt: Attempt, log: Path, stop: threading.Event) -> None:
        """The log of an attempt, to the store. One that is away for long costs the log, not the frame."""
        try:
            self.retries.until_store_is_back(lambda: store_log(self._farm, attempt.id, log), stop, _LOG_LIMIT_S)
        except (StoreUnavailable, OSError, SessionStopped) as error:
            logger.warning("the log of task %s was not kept: %s", attempt.task_id, error)

    def _store_output(self, finished: RenderedFrame, written: Written, *, main: bool) -> Output:
        attempt, opened = finished.attempt, finished.opened
        width = height = None
        if written.path.suffix.lstrip(".").lower() in (*FORMATS.values(), "jpeg", "tiff"):
            expected = {"width": opened.width, "height": opened.height} if main else {}
            facts = self._farm.decoder.verify(written.path, within=finished.attempt_dir.collected, **expected)
            width, height = facts.width, facts.height
        hashed = hash_file(written.path)
        self._store_file(finished, written.path, hashed.digest)
        return Output(
            name=written.name,
            digest=hashed.digest,
            size=hashed.size,
            width=width,
            height=height,
            frame=attempt.frame,
            camera=attempt.camera,
            number=attempt.number,
            device=opened.device,
            image=opened.image,
        )

    def _store_file(self, finished: RenderedFrame, path: Path, digest: str) -> None:
        limit_s = max(STORE_LIMIT_S, finished.rendered.seconds)  # to render it again would take as long
        self.retries.until_store_is_back(lambda: self._farm.store.put(path, digest), finished.stop, limit_s)


def _begun(outcomes: Mapping[str, Outcome], batch: Sequence[RenderedFrame]) -> list[Attempt]:
    """The attempts of a batch that have begun and are not completed, in their order."""
    begun = [frame.attempt for frame in batch if not isinstance(outcomes[frame.attempt.id], StoredFrame)]
    return [*begun, *filter(None, [batch[-1].next_attempt])]
