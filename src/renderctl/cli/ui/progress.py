"""What renders, uploads, downloads and waiting show of how they get on."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from renderctl.cli import context
from renderctl.cli.ui import console, job_tables, table
from renderctl.cli.ui.progress_display import ProgressDisplay, ProgressStep, progress_display

if TYPE_CHECKING:
    from renderctl.blender.events import Progress as FrameProgress
    from renderctl.core.job_status import JobStatus
    from renderctl.core.jobs import Attempt, Failure, Job, TaskCounts
    from renderctl.farm import Progress
    from renderctl.farm.render import FrameDone, RenderListener


class OfFrame(Protocol):
    """What is about one frame."""

    @property
    def frame(self) -> int: ...
    @property
    def camera(self) -> str | None: ...


@contextmanager
def render_listener() -> "Iterator[RenderListener]":
    """A RenderListener that shows a render: its frames, its notes once each, its failures as they come."""
    from renderctl.farm.render import RenderListener

    with progress_display() as shown:
        view = RenderView(shown)
        yield RenderListener(
            on_advance=view.advanced,
            on_job=view.queued,
            on_note=console.note,
            on_frame=view.rendered,
            on_progress=view.progressed,
            on_ready=view.opened,
            on_failure=_failed,
        )


@contextmanager
def advancing() -> "Iterator[Callable[[Progress], None]]":
    """An OnAdvance that shows uploads and downloads."""
    with progress_display() as shown:
        yield lambda advance: shown.show(ProgressStep(advance.what, advance.done, advance.total, advance.unit))


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Shows work of which more becomes known while it is done: steps done, steps known, what is being done."""
    with progress_display() as shown:
        yield lambda done, known, now: shown.show(ProgressStep(what, done, known, "steps", now))


@contextmanager
def job_progress() -> "Iterator[Callable[[JobStatus], None]]":
    """Shows the documents of a job that others work on."""
    with progress_display() as shown:
        yield lambda document: shown.show(_step(document))


class RenderView:
    """The steps of a render, from what its listener hears."""

    def __init__(self, shown: ProgressDisplay, now: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._now = now
        self._began = now()
        self._earlier = self._done = self._total = 0
        self._doing: dict[str, tuple[float, str]] = {}  # camera and frame -> how far, in words
        self._last = ""

    def advanced(self, advance: "Progress") -> None:
        self._shown.show(ProgressStep(advance.what, advance.done, advance.total, advance.unit))

    def queued(self, job: "Job", counts: "TaskCounts") -> None:
        self._earlier = self._done = counts.succeeded
        self._total = counts.total
        self._began = self._now()
        console.note(f"Job {job.id}: {table.counted(self._total, 'frame')} of {job.model}")
        self._show()

    def opened(self, described: str) -> None:
        console.note(described)

    def rendered(self, done: "FrameDone") -> None:
        self._done += 1
        self._doing.pop(_place(done), None)
        self._last = f"{done.paths[0]}  ({done.seconds:.2f} s)" if done.paths else ""
        self._show()

    def progressed(self, attempt: "Attempt", progress: "FrameProgress") -> None:
        sample = f"sample {progress.sample}/{progress.samples}" if progress.samples else progress.phase
        self._doing = {_place(attempt): (progress.fraction or 0.0, f"{_place(attempt)}: {sample}")}
        self._show()

    def _show(self) -> None:
        doing = list(self._doing.values())
        here = self._done - self._earlier
        pace_s = (self._now() - self._began) / here if here else None
        left = self._total - self._done - sum(fraction for fraction, _ in doing)
        self._shown.show(
            ProgressStep(
                "Rendering",
                self._done,
                self._total,
                now=", ".join(words for _, words in doing),
                last=self._last,
                left_s=left * pace_s if pace_s is not None else None,
                pace=f"{pace_s:.2f} s a frame" if pace_s is not None else "",
            )
        )


def _place(task: OfFrame) -> str:
    return f"frame {task.frame}" + (f" ({task.camera})" if task.camera else "")


def _failed(attempt: "Attempt", failure: "Failure") -> None:
    console.warn(f"Frame {attempt.frame} failed: {failure.reason}")


def _step(document: "JobStatus") -> ProgressStep:
    tasks = document["tasks"]
    failed = f"{tasks['failed']} failed" if tasks["failed"] else ""
    return ProgressStep(
        f"Job {document['id']} {document['state']}",
        document["progress"] * tasks["total"],
        tasks["total"],
        now=document["waiting_reason"] or f"{tasks['running']} running",
        last=failed,
        left_s=document["eta_seconds"],
    )


@contextmanager
def watch_view() -> "Iterator[Callable[[JobStatus], None]]":
    """Shows the documents of a watched job: as JSON lines, as a bar on a terminal, else as lines that differ."""
    if context.current.json:
        yield console.show_line
    elif sys.stdout.isatty() and sys.stderr.isatty() and not context.current.quiet:
        with job_progress() as show:
            yield show
    else:
        yield _ChangedLines()


class _ChangedLines:
    """A line for each document that reads otherwise than the one before it."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, document: "JobStatus") -> None:
        line = job_tables.job_line(document)
        if line != self._last:
            console.show_text(f"{line}\n")
        self._last = line
