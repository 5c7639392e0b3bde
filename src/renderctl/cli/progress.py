"""How a longer piece of work gets on: bars on a terminal, lines elsewhere, nothing with `--quiet`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from renderctl.cli import invocation, output, views

_LINE_EVERY_S = 3.0


@contextmanager
def render_listener() -> Iterator[Any]:
    """A RenderListener that shows a render."""
    from renderctl.farm.render import RenderListener

    if invocation.current.quiet:
        yield RenderListener(on_failure=_failed)
        return
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield RenderListener(
            on_advance=shown.advance,
            on_job=shown.job,
            on_note=output.note,
            on_frame=shown.frame,
            on_progress=shown.progress,
            on_ready=lambda text: output.note(text),
            on_failure=_failed,
        )
    finally:
        shown.close()


@contextmanager
def advancing() -> Iterator[Any]:
    """An OnAdvance for uploads and downloads."""
    if invocation.current.quiet:
        yield lambda _advance: None
        return
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield shown.advance
    finally:
        shown.close()


def _failed(attempt: Any, failure: Any) -> None:
    output.errors().print(
        f"Frame {attempt.frame} failed: {failure.reason}", markup=False, highlight=False, soft_wrap=True
    )


def _job_line(job: Any, total: int) -> str:
    return f"Job {job.id}: {total} frame{'s' * (total != 1)} of {job.model}"


class _Lines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._said_at = self._began = time.monotonic()
        self._done = self._total = 0
        self._pending: str | None = None

    def advance(self, advance: Any) -> None:
        self._say(f"{advance.what}: {advance.done}/{advance.total} {advance.unit}")

    def job(self, job: Any, total: int) -> None:
        self._total = total
        self._began = time.monotonic()
        output.note(_job_line(job, total))

    def frame(self, done: Any) -> None:
        self._done += 1
        rate = self._done / max(time.monotonic() - self._began, 1e-6)
        left = views.duration((self._total - self._done) / rate)
        self._say(
            f"{self._done}/{self._total} frames, {done.seconds:.2f} s the last, about {left} left: {done.paths[0]}"
        )

    def progress(self, _attempt: Any, _progress: Any) -> None:
        """A frame within a frame is for bars."""

    def close(self) -> None:
        if self._pending is not None:
            output.note(self._pending)

    def _say(self, line: str) -> None:
        self._pending = line
        if time.monotonic() - self._said_at >= _LINE_EVERY_S:
            output.note(line)
            self._said_at, self._pending = time.monotonic(), None


class _Bar:
    """For terminals."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}", markup=False),
            console=output.errors(),
            transient=True,
        )
        self._bars.start()
        self._tasks: dict[str, Any] = {}

    def advance(self, advance: Any) -> None:
        self._bars.update(self._task(advance.what), total=advance.total, completed=advance.done)

    def job(self, job: Any, total: int) -> None:
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._bars.console.print(_job_line(job, total), markup=False, highlight=False)
        self._bars.update(self._task("Rendering"), total=total, completed=0)

    def frame(self, done: Any) -> None:
        self._bars.update(self._task("Rendering"), advance=1, now=f"frame {done.frame}: {done.seconds:.2f} s")

    def progress(self, attempt: Any, progress: Any) -> None:
        sample = f"sample {progress.sample}/{progress.samples}" if progress.samples else progress.phase[:24]
        self._bars.update(self._task("Rendering"), now=f"frame {attempt.frame}: {sample}")

    def close(self) -> None:
        self._bars.stop()

    def _task(self, what: str) -> Any:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=None, now="")
        return self._tasks[what]
