"""`render`: the whole job on this machine: upload, submit, work on it here, download as frames arrive."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from renderctl.blender.events import Progress
from renderctl.blender.failures import SessionFailed
from renderctl.core.actors import Actor
from renderctl.core.errors import IllegalTransition, Interrupted, InvalidInput, Unreachable
from renderctl.core.job_status import JobStatus
from renderctl.core.jobs import Attempt, Failure, Fault, Job, Output, TaskCounts
from renderctl.core.states import ENDED_JOB
from renderctl.farm import Farm, OnProgress, ignore_progress
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.download import OutputFolder, blob_fetcher, check_writable
from renderctl.farm.jobs.status import invalidate, job_document
from renderctl.farm.jobs.submit import SubmitRequest, submit_reserved
from renderctl.farm.models.outside_files import include_outside, leaves_this_machine
from renderctl.farm.models.upload import UploadOptions, model_of
from renderctl.farm.prewarm import PrewarmedBlender
from renderctl.farm.worker import Worker, WorkOptions, worker_for
from renderctl.farm.worker.publisher import PublishedFrame
from renderctl.farm.worker.slot_parts import Listeners

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderRequest:
    """What to render and where to put it."""

    output: Path
    scene: str | None = None  #: a .blend file, or a model by its name; None: go on with `job`
    job: str | None = None
    submit: SubmitRequest = field(default_factory=SubmitRequest)
    slots: int | None = None
    standby: PrewarmedBlender | None = None  #: a Blender that was started ahead for the scene; closed in any case


@dataclass(frozen=True)
class FrameDone:
    """A frame that stands in the output folder."""

    frame: int
    camera: str | None
    paths: tuple[Path, ...]
    seconds: float


@dataclass(frozen=True)
class RenderedJob:
    """What a render came to."""

    document: JobStatus  #: the job document
    folder: Path
    files: int


@dataclass(frozen=True)
class RenderListener:
    """Who shows how a render gets on; called from the thread that called `render`, unless it says otherwise."""

    on_advance: OnProgress = ignore_progress
    on_job: Callable[[Job, TaskCounts], None] = lambda _job, _counts: None  #: it is queued
    on_note: Callable[[str], None] = lambda _note: None
    on_frame: Callable[[FrameDone], None] = lambda _frame: None
    on_progress: Callable[[Attempt, Progress], None] = lambda _attempt, _progress: None  #: from a slot's thread
    on_ready: Callable[[str], None] = lambda _text: None  #: which Blender renders, and on what; from a slot's thread
    on_failure: Callable[[Attempt, Failure], None] = lambda _attempt, _failure: None


def render(
    farm: Farm,
    actor: Actor,
    request: RenderRequest,
    *,
    stop: threading.Event,
    listener: RenderListener | None = None,
) -> RenderedJob:
    """Render a scene here, or go on with a job; the result says how the job ended.

    On Ctrl-C, and when `stop` is set, the frame that is being rendered is given up, the job is paused, what is
    finished stays, and Interrupted is raised. Raises what `upload`, `submit` and `download` raise; a scene that can
    not be opened as it was asked for is InvalidInput, and leaves no job behind.
    """
    try:
        check_writable(request.output)
        return _RenderRun(farm, request, actor, stop, listener or RenderListener()).run()
    finally:
        if request.standby is not None:
            request.standby.close()


class _RenderRun:
    """One `render`, from the scene to the images."""

    def __init__(
        self, farm: Farm, request: RenderRequest, actor: Actor, stop: threading.Event, listener: RenderListener
    ) -> None:
        self._farm = farm
        self._request = request
        self._actor = actor
        self._stop = stop
        self._listener = listener
        self._published: queue.SimpleQueue[PublishedFrame] = queue.SimpleQueue()
        self._failures: queue.SimpleQueue[tuple[Attempt, Failure]] = queue.SimpleQueue()
        self._said: set[str] = set()
        self._fetched: set[tuple[int, str | None, str, str]] = set()  # outputs that we have put in place

    def run(self) -> RenderedJob:
        worker = self._worker()
        try:
            if self._request.standby is not None:
                worker.sessions[0].adopt(self._request.standby)
            worker.start()
            job = self._taken_over(worker) if self._request.job else self._submitted(worker)
            return self._rendered(job, worker)
        except KeyboardInterrupt as error:
            raise self._interrupted(worker) from error
        finally:
            worker.abort()
            worker.leave()

    def _worker(self) -> Worker:
        heard = Listeners(
            on_published=self._published.put,
            on_failed=lambda attempt, failure: self._failures.put((attempt, failure)),
            on_progress=self._listener.on_progress,
            on_session=lambda _job, ready: self._listener.on_ready(ready.described),
        )
        options = WorkOptions(
            slots=self._request.slots, allow_scripts=True, only_job=self._request.job or "new", listeners=heard
        )
        return worker_for(self._farm, self._actor, options)

    def _submitted(self, worker: Worker) -> Job:
        request = self._request.submit
        if not leaves_this_machine(self._farm.settings):
            request = replace(request, on_outside=include_outside)
        model, notes = model_of(
            self._farm,
            self._actor,
            self._request.scene or "",
            UploadOptions(
                request.options.allow_missing, request.project, request.on_outside, worker.sessions[0].started
            ),
            on_advance=self._listener.on_advance,
        )
        self._note(*notes)
        submitted = submit_reserved(self._farm, self._actor, model, request, worker.id)
        self._note(*submitted.notes)
        self._open(submitted.job, worker)
        return submitted.job

    def _open(self, job: Job, worker: Worker) -> None:
        """Open the scene as it was asked for; if that can not be done, there was no job."""
        try:
            self._note(*worker.sessions[0].for_job(job).notes)
        except SessionFailed as error:
            failure = error.failure
            if not failure.whole_job:
                return  # the slot meets it again, and has a policy for it
            self._farm.repository.jobs.discard(job.id, failure.reason, actor=self._actor)
            kind = InvalidInput if failure.fault is Fault.SCENE else Unreachable
            raise kind(failure.reason) from error

    def _taken_over(self, worker: Worker) -> Job:
        job = authorized_job(self._farm, self._actor, self._request.job or "", "job.resume")
        if job.state in ENDED_JOB:
            raise IllegalTransition(
                f"Job {job.id} has ended: it is {job.state}.", hint="`renderctl retry` queues failed frames again."
            )
        return self._farm.repository.jobs.resume(job.id, actor=self._actor, bound_to=worker.id)

    def _rendered(self, job: Job, worker: Worker) -> RenderedJob:
        self._listener.on_job(job, self._farm.repository.tasks.counts(job.id))
        folder = OutputFolder(job, self._request.output, blob_fetcher(self._farm))
        worker.work(job.id)
        while not worker.wait(0.02):
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._show(folder)
        self._show(folder)
        job = self._farm.repository.jobs.get(job.id)
        self._note(*job.notes)
        invalidate(self._farm, job.id)
        files = self._complete(job, folder)
        return RenderedJob(job_document(self._farm, job.id), folder.path, files)

    def _complete(self, job: Job, folder: OutputFolder) -> int:
        """Fetch what an earlier run of this job has published, too."""
        after = files = 0
        while True:
            page, after = self._farm.repository.outputs.of_job(job.id, after=after)
            if not page:
                return files
            for output in page:
                if _key(output) not in self._fetched:
                    folder.fetch(output)
                files += 1

    def _show(self, folder: OutputFolder) -> None:
        while not self._published.empty():
            published = self._published.get()
            paths = tuple(folder.target(output) for output in published.outputs)
            for output in published.outputs:
                folder.fetch(output)
                self._fetched.add(_key(output))
            attempt = published.attempt
            self._listener.on_frame(FrameDone(attempt.frame, attempt.camera, paths, published.seconds))
        while not self._failures.empty():
            self._listener.on_failure(*self._failures.get())

    def _interrupted(self, worker: Worker) -> Interrupted:
        """Pause what we have begun; how to go on with it."""
        paused = [self._farm.repository.jobs.pause(job_id, actor=self._actor) for job_id in self._bound_to(worker)]
        for job in paused:
            invalidate(self._farm, job.id)
        if not paused:
            return Interrupted("Interrupted; nothing was queued.")
        return Interrupted(
            f"Interrupted. Job {paused[0].id} is paused; the frames that are finished are kept.",
            hint=f"`renderctl render --job {paused[0].id}` goes on with it.",
        )

    def _bound_to(self, worker: Worker) -> list[str]:
        """Asked of the database: the signal may have come between a commit and its return."""
        return self._farm.repository.jobs.open_ids(bound_to=worker.id)

    def _note(self, *notes: str) -> None:
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._listener.on_note(note)


def _key(output: Output) -> tuple[int, str | None, str, str]:
    """What an output is, and where it goes."""
    return output.frame, output.camera, output.name, output.digest
