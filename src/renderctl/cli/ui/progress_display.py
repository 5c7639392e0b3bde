"""How far a longer piece of work is: a bar on a terminal, lines elsewhere, nothing with `--quiet`."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from renderctl.cli import context
from renderctl.cli.ui import console, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_LINE_EVERY_S = 3.0
_REDRAWS_A_SECOND = 8


@dataclass(frozen=True)
class ProgressStep:
    """Where the work stands."""

    what: str  #: such as `Rendering`
    done: float
    total: float
    unit: str = "frames"
    now: str = ""  #: what is being done
    last: str = ""  #: what was done last
    left_s: float | None = None
    pace: str = ""  #: such as `0.5 s a frame`

    @property
    def counted(self) -> str:
        return f"{int(self.done)}/{int(self.total)} {self.unit}"

    @property
    def left(self) -> str:
        return f"{table.duration(self.left_s)} left" if self.left_s else ""


#: Those that are shown at this moment.
_drawn: "list[Silent | LineProgress | BarProgress]" = []


class ProgressDisplay(Protocol):
    """Shows steps; from any thread."""

    def show(self, step: ProgressStep) -> None: ...


@contextmanager
def progress_display() -> Iterator[ProgressDisplay]:
    """The gauge that fits what stderr is."""
    shown = Silent() if context.current.quiet else BarProgress() if sys.stderr.isatty() else LineProgress(console.note)
    _drawn.append(shown)
    try:
        yield shown
    finally:
        _drawn.remove(shown)
        shown.close()


@contextmanager
def paused() -> Iterator[None]:
    """Nothing is drawn meanwhile: somebody is asked something."""
    bars = [display for display in _drawn if isinstance(display, BarProgress)]
    for bar in bars:
        bar.pause()
    try:
        yield
    finally:
        for bar in bars:
            bar.resume()


class Silent:
    """For `--quiet`."""

    def show(self, step: ProgressStep) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is left."""


class LineProgress:
    """For logs and pipes: a line every few seconds, and the last one."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._now = now
        self._said_at = now()
        self._waiting: str | None = None
        self._spoken = False
        self._brief = False  # files that were moved in no time: nothing to tell
        self._lock = threading.Lock()

    def show(self, step: ProgressStep) -> None:
        parts = [f"{step.what}: {step.counted}", step.pace, step.left, step.now, step.last]
        with self._lock:
            self._waiting = ", ".join(filter(None, parts))
            self._brief = step.unit == "files" and not self._spoken
            if self._now() - self._said_at >= _LINE_EVERY_S:
                self._flush()

    def close(self) -> None:
        with self._lock:
            if not self._brief:
                self._flush()

    def _flush(self) -> None:
        if self._waiting is not None:
            self._say(self._waiting)
            self._spoken = True
            self._said_at, self._waiting = self._now(), None


class BarProgress:
    """For terminals: two lines that are drawn anew while the work goes on, and are gone after it."""

    def __init__(self) -> None:
        from rich.live import Live

        self._step: ProgressStep | None = None
        self._live = Live(
            get_renderable=self._renderable,
            console=console.errors(),
            refresh_per_second=_REDRAWS_A_SECOND,
            transient=True,
        )
        self._live.start()

    def show(self, step: ProgressStep) -> None:
        self._step = step

    def close(self) -> None:
        self._live.stop()

    def pause(self) -> None:
        """Leave the terminal to others."""
        self._live.stop()

    def resume(self) -> None:
        """Draw again."""
        self._live.start()

    def _renderable(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        step = self._step
        if step is None:
            return Text("")
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=step.total or 1, completed=step.done, width=24)
        figures = "  ".join(filter(None, [step.counted, step.pace, step.left]))
        line.add_row(step.what, bar, Text(figures, no_wrap=True, overflow="ellipsis"))
        doing = "  ".join(filter(None, [step.now, step.last]))
        return Group(line, Text(doing, style="dim", no_wrap=True, overflow="ellipsis"))
