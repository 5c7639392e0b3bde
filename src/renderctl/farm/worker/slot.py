"""A slot: takes a turn at a job, claims frame after frame of it, and renders them in one warm Blender."""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from renderctl.blender.events import Progress
from renderctl.blender.failures import SessionFailed, SessionStopped
from renderctl.blender.session import FrameRequest
from renderctl.core.attempts import Claim
from renderctl.core.errors import DatabaseUnavailable, RenderctlError, StoreUnavailable, Unreachable
from renderctl.core.jobs import Attempt, Failure, Fault, Job
from renderctl.farm import Farm
from renderctl.farm.blenders import limits
from renderctl.farm.worker.attempt_dir import AttemptDir
from renderctl.farm.worker.failures import failure_from, unexpected_failure
from renderctl.farm.worker.in_flight import InFlightAttempt
from renderctl.farm.worker.pipeline import Pipeline
from renderctl.farm.worker.publisher import PublishedFrame, Publisher, RenderedFrame
from renderctl.farm.worker.session_slot import OpenSession
from renderctl.farm.worker.slot_parts import Listeners, RequestedFrame, SlotParts
from renderctl.farm.worker.stop_flags import StopFlags

logger = logging.getLogger(__name__)

#: A claim covers so many seconds of short frames, and so many frames at most.
_CLAIM_S, _CLAIM_MOST = 2.0, 50
#: Frames below so many seconds are claimed ahead; a longer one is left to another slot that is free.
_SHORT_S = 1.0
#: So many short frames at most wait to be published together.
_TOGETHER = 32
#: Seconds until a slot without work asks a database again that did not answer, at first and at last.
_MISSED_FIRST_S, _MISSED_LAST_S = 1.0, 8.0
#: Seconds between two looks whether a resting slot may go on.
_REST_S = 0.2


class Slot:
    """Runs in a thread of its own until the flags say drain or abort."""

    def __init__(self, farm: Farm, parts: SlotParts, flags: StopFlags, listeners: Listeners) -> None:
        self._farm = farm
        self._source = parts.source
        self._session_slot = parts.session_slot
        self._in_flight = parts.in_flight
        self._health = parts.health
        self._flags = flags
        self._listeners = listeners
        self._publisher = Publisher(farm, parts.health, flags.abort)
        self._retries = self._publisher.retries
        self._frame_s: float | None = None  # what the last frames of this job took
        self._job_id: str | None = None
        self._job_over = False  # every further task of it would fail alike
        self._missed_s = _MISSED_FIRST_S
        self._reported_session: tuple[str, int] | None = None
        self._unexpected_in_a_row = 0  # attempts that met a fault of ours
        self._requested_ahead: RequestedFrame | None = None  # the frame that Blender goes on with by itself
        self._flush: Callable[[], None] = lambda: None  # publish what is rendered

    def run(self, scratch: Path) -> None:
        """Take turns until draining, or until there is nothing left to take. `close` ends the Blender that is left."""
        quantum = self._farm.settings.worker.quantum * random.random()
        idle_since = self._farm.clock.monotonic()
        while not self._flags.leaving and not self._source.exhausted():
            claim = self._next()
            self._in_flight.set_idle(self, idle=not claim.attempts)
            if claim.job is not None and claim.attempts:
                self._work_on(claim.job, claim, quantum, scratch)
                quantum = self._farm.settings.worker.quantum * random.uniform(0.5, 1.5)
                idle_since = self._farm.clock.monotonic()
            elif self._farm.clock.monotonic() - idle_since > self._farm.settings.blender.idle_timeout:
                self._session_slot.close()

    def close(self) -> None:
        """End its Blender."""
        self._in_flight.set_idle(self, idle=False)
        self._session_slot.close()

    def _next(self) -> Claim:
        """The next turn; one without attempts while there is none to be had, or none to be taken."""
        if self._flags.hold.is_set() or not self._health.ensure_healthy(self._session_slot):
            self._farm.clock.wait(self._flags.drain, _REST_S)
            return Claim()
        self._source.set_capabilities(self._health.capabilities)
        try:
            claim = self._source.next(self._flags.drain)
        except DatabaseUnavailable as error:
            logger.warning("no work without the database: %s", error)
            self._farm.clock.wait(self._flags.drain, random.uniform(0.5, 1.0) * self._missed_s)
            self._missed_s = min(2 * self._missed_s, _MISSED_LAST_S)
            return Claim()
        self._missed_s = _MISSED_FIRST_S
        return claim

    def _work_on(self, job: Job, claim: Claim, quantum_s: float, scratch: Path) -> None:
        """Work on one job for a quantum."""
        if job.id != self._job_id:
            self._job_id, self._frame_s = job.id, None
        self._job_over = False
        pending = deque(claim.attempts)
        self._in_flight.add(pending)
        ends = self._farm.clock.monotonic() + quantum_s
        pipeline: Pipeline[RenderedFrame] = Pipeline(self._publish, self._farm.clock)
        self._flush = pipeline.flush
        started: Attempt | None = None  # the one that the publishing of its predecessor says to have begun
        with ExitStack() as ending:
            ending.callback(lambda: self._release(job, list(pending)))
            # the folder may be made anew, and decoders see the old one
            ending.callback(self._publisher.release_decoders, scratch)
            ending.callback(pipeline.close)
            ending.callback(self._cancel_requested)
            while pending and self._may_continue():
                attempt = pending.popleft()
                if attempt is not started and not self._begin(attempt):
                    self._cancel_requested()
                    self._in_flight.remove(attempt)
                    continue
                if self._frames_are_short():
                    self._top_up(pending, job, ends)
                finished = self._render(job, attempt, scratch, self._next_to_request(pending))
                if self._job_over:
                    break
                self._top_up(pending, job, ends)
                started = None
                if finished is not None:
                    started = pending[0] if pending and self._may_continue() else None
                    pipeline.put(finished(started), _TOGETHER if self._frames_are_short() else 1)

    def _begin(self, attempt: Attempt) -> bool:
        return self._retries.until_database_is_back(lambda: self._farm.repository.attempts.start(attempt))

    def _may_continue(self) -> bool:
        """Whether the slot stays with its job: one whose Blender may not start finds that out first.

        What Blender renders already is finished first.
        """
        return self._requested_ahead is not None or self._may_claim()

    def _may_claim(self) -> bool:
        return self._flags.accepting and not self._health.is_suspect

    def _next_to_request(self, pending: deque[Attempt]) -> Attempt | None:
        """The frame that Blender is told of while it renders the one before, so that it need not wait for us."""
        ahead = self._frames_are_short() and self._may_claim() and self._farm.executor.shares_disk
        return pending[0] if pending and ahead else None

    def _cancel_requested(self) -> None:
        """Nobody takes what Blender renders ahead: it ends, and what it has left goes."""
        if self._requested_ahead is not None:
            ahead, self._requested_ahead = self._requested_ahead, None
            self._session_slot.close()
            ahead.attempt_dir.clear()

    def _frames_are_short(self) -> bool:
        """Whether it is worth it to claim ahead, so that Blender need not wait for the next frame."""
        return self._frame_s is not None and self._frame_s < _SHORT_S

    def _top_up(self, pending: deque[Attempt], job: Job, until: float) -> None:
        """Claim more when nothing is left, while the quantum lasts."""
        if not pending and self._may_claim() and self._farm.clock.monotonic() < until:
            pending.extend(self._claim_more(job))

    def _claim_more(self, job: Job) -> list[Attempt]:
        limit = 1 if self._frame_s is None else int(_CLAIM_S / max(self._frame_s, 1e-6))
        try:
            attempts = list(self._source.claim_more(job, max(1, min(limit, _CLAIM_MOST))))
        except DatabaseUnavailable as error:
            logger.warning("no more work without the database: %s", error)
            return []
        self._in_flight.add(attempts)
        return attempts

    def _render(
        self, job: Job, attempt: Attempt, scratch: Path, next_attempt: Attempt | None
    ) -> Callable[[Attempt | None], RenderedFrame] | None:
        """Render one frame, and let Blender go on with `next_attempt`.

        Returns what is to be published, or None when the attempt failed or was stopped, which is reported then.
        """
        running = self._in_flight.get(attempt)
        attempt_dir = (
            self._requested_ahead.attempt_dir if self._requested_ahead is not None else AttemptDir(scratch, attempt.id)
        )
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            current = self._current_frame(job, attempt, running, attempt_dir)
            if next_attempt is not None:
                self._requested_ahead = self._request_ahead(
                    next_attempt, current.ready, AttemptDir(scratch, next_attempt.id)
                )
            try:
                rendered = current.ready.session.render(
                    current.request,
                    limits=limits(self._farm, job.frame_timeout_s),
                    on_progress=lambda progress: self._progressed(running, progress),
                    stop=running.stop,
                )
            finally:
                attempt_dir.collect_log()
            rendered = replace(rendered, files=attempt_dir.collect_outputs(rendered.files))
        except SessionStopped:
            self._report_stop(attempt, attempt_dir)
        except (RenderctlError, OSError) as error:
            self._report_failure(attempt, self._failure_of(error), attempt_dir)
        except Exception as error:  # a session can bring about what nobody has thought of: it costs the attempt
            self._report_failure(attempt, self._unexpected(attempt, error), attempt_dir)
        else:
            self._unexpected_in_a_row = 0
            self._frame_s = rendered.seconds
            opened = current.ready.opened
            return lambda next_attempt: RenderedFrame(
                attempt, rendered, opened, attempt_dir, next_attempt, running.stop
            )
        if self._requested_ahead is not None and not self._requested_ahead.ready.session.alive:
            self._cancel_requested()
        return None

    def _current_frame(
        self, job: Job, attempt: Attempt, running: InFlightAttempt, attempt_dir: AttemptDir
    ) -> RequestedFrame:
        """The frame as it was ordered ahead, or as it is now; with the job's scene open."""
        try:
            ready = self._open_session(job, running.stop)
            self._report_session_once(job, ready)
            ahead = self._requested_ahead
            current = (
                ahead if ahead is not None and ahead.ready is ready else self._request(attempt, ready, attempt_dir)
            )
        except BaseException:
            self._cancel_requested()
            raise
        self._requested_ahead, running.log = None, attempt_dir.log
        return current

    def _request_ahead(self, attempt: Attempt, ready: OpenSession, attempt_dir: AttemptDir) -> RequestedFrame | None:
        """None: it could not be done; what is wrong shows in the frame that is rendered, or in this one's own turn."""
        try:
            return self._request(attempt, ready, attempt_dir)
        except (RenderctlError, OSError) as error:
            logger.info("task %s was not ordered ahead: %s", attempt.task_id, error)
            attempt_dir.clear()
            return None

    def _request(self, attempt: Attempt, ready: OpenSession, attempt_dir: AttemptDir) -> RequestedFrame:
        attempt_dir.create(ready.scratch, f"$ {ready.command}\n# {attempt.task_id}: frame {attempt.frame}\n")
        request = FrameRequest(
            attempt.task_id, attempt.frame, attempt.camera, attempt_dir.folder, attempt_dir.log, attempt_dir.log_alias
        )
        ready.session.request_frame(request)
        return RequestedFrame(ready, attempt_dir, request)

    def _open_session(self, job: Job, stop: threading.Event) -> OpenSession:
        """The session for the job, whatever is away in the meantime."""

        def opening() -> OpenSession:
            return self._retries.until_database_is_back(lambda: self._session_slot.for_job(job, stop))

        return self._retries.until_store_is_back(opening, stop)

    def _failure_of(self, error: RenderctlError | OSError) -> Failure:
        if isinstance(error, OSError):
            return Failure(Fault.MACHINE, f"The scratch folder: {error}.")
        if isinstance(error, SessionFailed):
            if not self._session_slot.alive:
                self._health.suspect()
            return error.failure
        if isinstance(error, Unreachable) and not isinstance(error, StoreUnavailable):
            self._health.suspect()
        return failure_from(error)

    def _unexpected(self, attempt: Attempt, error: Exception) -> Failure:
        """What an attempt fails with that has met a fault of ours; the session is given up.

        Once is bad luck with a scene. When it happens again, Blender is tried before more work is taken.
        """
        logger.exception("unexpected while task %s was rendered", attempt.task_id)
        self._session_slot.close()
        self._unexpected_in_a_row += 1
        if self._unexpected_in_a_row > 1:
            self._health.suspect()
        return unexpected_failure(error)

    def _report_session_once(self, job: Job, ready: OpenSession) -> None:
        """Once per session and job: what the artist should know."""
        if self._reported_session != (job.id, id(ready)):
            self._reported_session = (job.id, id(ready))
            if ready.notes:
                self._retries.until_database_is_back(lambda: self._farm.repository.jobs.add_notes(job.id, ready.notes))
            self._listeners.on_session(job, ready)

    def _progressed(self, running: InFlightAttempt, progress: Progress) -> None:
        if progress.fraction is not None:
            running.progress = min(max(progress.fraction, running.progress), 0.999)
        self._listeners.on_progress(running.attempt, progress)

    def _publish(self, batch: Sequence[RenderedFrame]) -> None:
        """In the pipeline's thread: the next frame is being rendered meanwhile."""
        try:
            for finished, result in zip(batch, self._publisher.publish(batch), strict=True):
                if isinstance(result, PublishedFrame):
                    self._listeners.on_published(result)
                elif result is not None:
                    self._listeners.on_failed(finished.attempt, result)
        finally:
            for finished in batch:
                self._clear(finished.attempt, finished.attempt_dir)

    def _report_failure(self, attempt: Attempt, failure: Failure, attempt_dir: AttemptDir) -> None:
        with suppress(OSError), attempt_dir.log.open("a", encoding="utf-8") as file:
            file.write(f"\n# failed: {failure.reason}\n")
        self._publisher.store_log(attempt, attempt_dir.log, self._in_flight.get(attempt).stop)
        self._flush()  # the publishing of the one before says that this one has begun
        reported = self._publisher.fail(attempt, failure)
        self._job_over = failure.whole_job and reported.delay_s is None
        self._clear(attempt, attempt_dir)
        self._listeners.on_failed(attempt, reported.failure)

    def _report_stop(self, attempt: Attempt, attempt_dir: AttemptDir) -> None:
        self._publisher.store_log(attempt, attempt_dir.log, self._in_flight.get(attempt).stop)
        self._retries.until_database_is_back(lambda: self._farm.repository.attempts.cancel(attempt))
        self._clear(attempt, attempt_dir)

    def _clear(self, attempt: Attempt, attempt_dir: AttemptDir) -> None:
        self._in_flight.remove(attempt)
        attempt_dir.clear()

    def _release(self, job: Job, rest: list[Attempt]) -> None:
        """What was claimed and not started is free again; a job with a slot limit hears that a slot left it."""
        if rest:
            self._retries.until_database_is_back(lambda: self._farm.repository.attempts.release(rest))
            for attempt in rest:
                self._in_flight.remove(attempt)
        self._retries.until_database_is_back(lambda: self._source.leave(job, released=bool(rest)))
