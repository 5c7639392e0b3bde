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
from renderctl.core.errors import DatabaseUnavailable, RenderctlError, StoreUnavailable, Unreachable
from renderctl.core.jobs import Attempt, Failure, Fault, Job
from renderctl.farm import Farm
from renderctl.farm.blenders import limits
from renderctl.farm.worker.attempt_dir import AttemptDir
from renderctl.farm.worker.failures import failure_of, unexpected_failure
from renderctl.farm.worker.in_flight import InFlightAttempt
from renderctl.farm.worker.pipeline import Pipeline
from renderctl.farm.worker.publisher import Finished, Published, Publisher
from renderctl.farm.worker.session_slot import OpenSession
from renderctl.farm.worker.slot_parts import Listeners, Ordered, SlotParts
from renderctl.farm.worker.stop_flags import Signals
from renderctl.repository import Claim

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
    """Runs in a thread of its own until it is told to drain or to halt."""

    def __init__(self, farm: Farm, tools: SlotParts, signals: Signals, listeners: Listeners) -> None:
        self._farm = farm
        self._turns = tools.turns
        self._sessions = tools.sessions
        self._held = tools.held
        self._health = tools.health
        self._signals = signals
        self._listeners = listeners
        self._publisher = Publisher(farm, tools.health, signals.halt)
        self._retries = self._publisher.retries
        self._frame_s: float | None = None  # what the last frames of this job took
        self._job_id: str | None = None
        self._job_over = False  # every further task of it would fail alike
        self._missed_s = _MISSED_FIRST_S
        self._introduced: tuple[str, int] | None = None
        self._unexpected_in_a_row = 0  # attempts that met a fault of ours
        self._ahead: Ordered | None = None  # the frame that Blender goes on with by itself
        self._flush: Callable[[], None] = lambda: None  # publish what is rendered

    def run(self, scratch: Path) -> None:
        """Take turns until draining, or until there is nothing left to take. `close` ends the Blender that is left."""
        quantum = self._farm.settings.worker.quantum * random.random()
        idle_since = self._farm.clock.monotonic()
        while not self._signals.leaving and not self._turns.over():
            claim = self._next()
            self._held.set_idle(self, idle=not claim.attempts)
            if claim.job is not None and claim.attempts:
                self._serve(claim.job, claim, quantum, scratch)
                quantum = self._farm.settings.worker.quantum * random.uniform(0.5, 1.5)
                idle_since = self._farm.clock.monotonic()
            elif self._farm.clock.monotonic() - idle_since > self._farm.settings.blender.idle_timeout:
                self._sessions.close()

    def close(self) -> None:
        """End its Blender."""
        self._held.set_idle(self, idle=False)
        self._sessions.close()

    def _next(self) -> Claim:
        """The next turn; one without attempts while there is none to be had, or none to be taken."""
        if self._signals.rest.is_set() or not self._health.reassure(self._sessions):
            self._farm.clock.wait(self._signals.drain, _REST_S)
            return Claim()
        self._turns.offer(self._health.capabilities)
        try:
            claim = self._turns.next(self._signals.drain)
        except DatabaseUnavailable as error:
            logger.warning("no work without the database: %s", error)
            self._farm.clock.wait(self._signals.drain, random.uniform(0.5, 1.0) * self._missed_s)
            self._missed_s = min(2 * self._missed_s, _MISSED_LAST_S)
            return Claim()
        self._missed_s = _MISSED_FIRST_S
        return claim

    def _serve(self, job: Job, claim: Claim, quantum_s: float, scratch: Path) -> None:
        """Work on one job for a quantum."""
        if job.id != self._job_id:
            self._job_id, self._frame_s = job.id, None
        self._job_over = False
        pending = deque(claim.attempts)
        self._held.add(pending)
        ends = self._farm.clock.monotonic() + quantum_s
        pipeline: Pipeline[Finished] = Pipeline(self._publish, self._farm.clock)
        self._flush = pipeline.flush
        started: Attempt | None = None  # the one that the publishing of its predecessor says to have begun
        with ExitStack() as ending:
            ending.callback(lambda: self._give_back(job, list(pending)))
            ending.callback(self._publisher.release, scratch)  # the folder may be made anew, and those see the old one
            ending.callback(pipeline.close)
            ending.callback(self._give_up_ahead)
            while pending and self._going_on():
                attempt = pending.popleft()
                if attempt is not started and not self._begin(attempt):
                    self._give_up_ahead()
                    self._held.drop(attempt)
                    continue
                if self._frames_are_short():
                    self._fill(pending, job, ends)
                finished = self._render(job, attempt, scratch, self._following(pending))
                if self._job_over:
                    break
                self._fill(pending, job, ends)
                started = None
                if finished is not None:
                    started = pending[0] if pending and self._going_on() else None
                    pipeline.put(finished(started), _TOGETHER if self._frames_are_short() else 1)

    def _begin(self, attempt: Attempt) -> bool:
        return self._retries.until_database_is_back(lambda: self._farm.repository.start(attempt))

    def _going_on(self) -> bool:
        """Whether the slot stays with its job: one whose Blender may not start finds that out first.

        What Blender renders already is finished first.
        """
        return self._ahead is not None or self._may_claim()

    def _may_claim(self) -> bool:
        return self._signals.taking and not self._health.doubtful

    def _following(self, pending: deque[Attempt]) -> Attempt | None:
        """The frame that Blender is told of while it renders the one before, so that it need not wait for us."""
        ahead = self._frames_are_short() and self._may_claim() and self._farm.executor.shares_disk
        return pending[0] if pending and ahead else None

    def _give_up_ahead(self) -> None:
        """Nobody takes what Blender renders ahead: it ends, and what it has left goes."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            self._sessions.close()
            ahead.tray.clear()

    def _frames_are_short(self) -> bool:
        """Whether it is worth it to claim ahead, so that Blender need not wait for the next frame."""
        return self._frame_s is not None and self._frame_s < _SHORT_S

    def _fill(self, pending: deque[Attempt], job: Job, until: float) -> None:
        """Claim more when nothing is left, while the quantum lasts."""
        if not pending and self._may_claim() and self._farm.clock.monotonic() < until:
            pending.extend(self._claim_more(job))

    def _claim_more(self, job: Job) -> list[Attempt]:
        limit = 1 if self._frame_s is None else int(_CLAIM_S / max(self._frame_s, 1e-6))
        try:
            attempts = list(self._turns.more(job, max(1, min(limit, _CLAIM_MOST))))
        except DatabaseUnavailable as error:
            logger.warning("no more work without the database: %s", error)
            return []
        self._held.add(attempts)
        return attempts

    def _render(
        self, job: Job, attempt: Attempt, scratch: Path, following: Attempt | None
    ) -> Callable[[Attempt | None], Finished] | None:
        """Render one frame, and have Blender go on with the `following` one; what is to be published, or None when it
        failed or was stopped (and that is reported).
        """
        hold = self._held.of(attempt)
        tray = self._ahead.tray if self._ahead is not None else AttemptDir(scratch, attempt.id)
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            current = self._current(job, attempt, hold, tray)
            if following is not None:
                self._ahead = self._order_ahead(following, current.ready, AttemptDir(scratch, following.id))
            try:
                rendered = current.ready.session.render(
                    current.order,
                    limits=limits(self._farm, job.frame_timeout_s),
                    on_progress=lambda progress: self._progressed(hold, progress),
                    stop=hold.stop,
                )
            finally:
                tray.collect_log()
            rendered = replace(rendered, files=tray.take(rendered.files))
        except SessionStopped:
            self._stopped(attempt, tray)
        except (RenderctlError, OSError) as error:
            self._failed(attempt, self._failure_of(error), tray)
        except Exception as error:  # a session can bring about what nobody has thought of: it costs the attempt
            self._failed(attempt, self._unexpected(attempt, error), tray)
        else:
            self._unexpected_in_a_row = 0
            self._frame_s = rendered.seconds
            opened = current.ready.opened
            return lambda following: Finished(attempt, rendered, opened, tray, following, hold.stop)
        if self._ahead is not None and not self._ahead.ready.session.alive:
            self._give_up_ahead()
        return None

    def _current(self, job: Job, attempt: Attempt, hold: InFlightAttempt, tray: AttemptDir) -> Ordered:
        """The frame as it was ordered ahead, or as it is now; with the job's scene open."""
        try:
            ready = self._opened(job, hold.stop)
            self._introduce(job, ready)
            ahead = self._ahead
            current = ahead if ahead is not None and ahead.ready is ready else self._order(attempt, ready, tray)
        except BaseException:
            self._give_up_ahead()
            raise
        self._ahead, hold.log = None, tray.log
        return current

    def _order_ahead(self, attempt: Attempt, ready: OpenSession, tray: AttemptDir) -> Ordered | None:
        """None: it could not be done; what is wrong shows in the frame that is rendered, or in this one's own turn."""
        try:
            return self._order(attempt, ready, tray)
        except (RenderctlError, OSError) as error:
            logger.info("task %s was not ordered ahead: %s", attempt.task_id, error)
            tray.clear()
            return None

    def _order(self, attempt: Attempt, ready: OpenSession, tray: AttemptDir) -> Ordered:
        tray.lay_out(ready.scratch, f"$ {ready.command}\n# {attempt.task_id}: frame {attempt.frame}\n")
        order = FrameRequest(attempt.task_id, attempt.frame, attempt.camera, tray.folder, tray.log, tray.printed_to)
        ready.session.order(order)
        return Ordered(ready, tray, order)

    def _opened(self, job: Job, stop: threading.Event) -> OpenSession:
        """The session for the job, whatever is away in the meantime."""

        def opening() -> OpenSession:
            return self._retries.until_database_is_back(lambda: self._sessions.for_job(job, stop))

        return self._retries.until_store_is_back(opening, stop)

    def _failure_of(self, error: RenderctlError | OSError) -> Failure:
        if isinstance(error, OSError):
            return Failure(Fault.MACHINE, f"The scratch folder: {error}.")
        if isinstance(error, SessionFailed):
            if not self._sessions.alive:
                self._health.doubt()
            return error.failure
        if isinstance(error, Unreachable) and not isinstance(error, StoreUnavailable):
            self._health.doubt()
        return failure_of(error)

    def _unexpected(self, attempt: Attempt, error: Exception) -> Failure:
        """What an attempt fails with that has met a fault of ours; the session is given up.

        Once is bad luck with a scene. When it happens again, Blender is tried before more work is taken.
        """
        logger.exception("unexpected while task %s was rendered", attempt.task_id)
        self._sessions.close()
        self._unexpected_in_a_row += 1
        if self._unexpected_in_a_row > 1:
            self._health.doubt()
        return unexpected_failure(error)

    def _introduce(self, job: Job, ready: OpenSession) -> None:
        """Once per session and job: what the artist should know."""
        if self._introduced != (job.id, id(ready)):
            self._introduced = (job.id, id(ready))
            if ready.notes:
                self._retries.until_database_is_back(lambda: self._farm.repository.note(job.id, ready.notes))
            self._listeners.on_ready(job, ready)

    def _progressed(self, hold: InFlightAttempt, progress: Progress) -> None:
        if progress.fraction is not None:
            hold.progress = min(max(progress.fraction, hold.progress), 0.999)
        self._listeners.on_progress(hold.attempt, progress)

    def _publish(self, batch: Sequence[Finished]) -> None:
        """In the pipeline's thread: the next frame is being rendered meanwhile."""
        try:
            for finished, result in zip(batch, self._publisher.publish(batch), strict=True):
                if isinstance(result, Published):
                    self._listeners.on_published(result)
                elif result is not None:
                    self._listeners.on_failed(finished.attempt, result)
        finally:
            for finished in batch:
                self._cleared(finished.attempt, finished.tray)

    def _failed(self, attempt: Attempt, failure: Failure, tray: AttemptDir) -> None:
        with suppress(OSError), tray.log.open("a", encoding="utf-8") as file:
            file.write(f"\n# failed: {failure.reason}\n")
        self._publisher.keep_log(attempt, tray.log, self._held.of(attempt).stop)
        self._flush()  # the publishing of the one before says that this one has begun
        told = self._publisher.fail(attempt, failure)
        self._job_over = failure.whole_job and told.delay_s is None
        self._cleared(attempt, tray)
        self._listeners.on_failed(attempt, told.failure)

    def _stopped(self, attempt: Attempt, tray: AttemptDir) -> None:
        self._publisher.keep_log(attempt, tray.log, self._held.of(attempt).stop)
        self._retries.until_database_is_back(lambda: self._farm.repository.cancel_attempt(attempt))
        self._cleared(attempt, tray)

    def _cleared(self, attempt: Attempt, tray: AttemptDir) -> None:
        self._held.drop(attempt)
        tray.clear()

    def _give_back(self, job: Job, rest: list[Attempt]) -> None:
        """What was claimed and not started is free again; a job with a slot limit hears that a slot left it."""
        if rest:
            self._retries.until_database_is_back(lambda: self._farm.repository.release(rest))
            for attempt in rest:
                self._held.drop(attempt)
        self._retries.until_database_is_back(lambda: self._turns.leave(job, gave_back=bool(rest)))
