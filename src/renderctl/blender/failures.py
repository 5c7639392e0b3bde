"""Translates the end of a session to a failure: whose fault it is, and why."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from renderctl.core.errors import RenderctlError
from renderctl.core.jobs import Failure, Fault

#: Signals of a crash.
CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
KILLED = 9
#: Prefixes of log lines that the worker wrote: the command, and the attempt's outcome.
_WORKER_LINES = ("$ ", "# ")


class SessionFailed(RenderctlError):
    """Blender failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class SessionStopped(RenderctlError):
    """Blender was stopped on request."""


class InvalidEvent(RenderctlError):
    """A session sent an event that is not valid: the scene's scripts have interfered."""

    @property
    def failure(self) -> Failure:
        """The failure of the attempt; other tasks of the job would fail in the same way."""
        reason = f"Blender's response is not valid ({self.message}): the scene's scripts have interfered."
        return Failure(Fault.SCENE, reason, whole_job=True)


class ProcessExit(Protocol):
    """The exit status of a process (`executors.ExitStatus`)."""

    @property
    def code(self) -> int | None:
        """The exit code; None after a signal."""

    @property
    def signal(self) -> int | None:
        """The number of the signal that ended it."""

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel killed it for memory."""

    @property
    def failure(self) -> Failure | None:
        """The failure behind it, if known."""


def failure_of_exit(ended: ProcessExit, last_words: str) -> Failure:
    """Return the failure of a session that ended by itself. Another machine, or a retry, may succeed."""
    signal = ended.signal or (ended.code - 128 if ended.code and ended.code > 128 else None)
    last_output = f" Last output: {last_words}" if last_words else ""
    if ended.failure is not None:
        return replace(ended.failure, reason=f"{ended.failure.reason}{last_output}")
    if ended.out_of_memory:
        return Failure(Fault.MACHINE, "Blender ran out of memory and was killed.")
    if signal == KILLED:
        return Failure(Fault.MACHINE, f"Blender was killed, most likely because memory ran out.{last_output}")
    if signal in CRASHES:
        return Failure(Fault.MACHINE, f"Blender crashed ({CRASHES[signal]}).{last_output}")
    if signal:
        return Failure(Fault.MACHINE, f"Blender was ended by signal {signal}.{last_output}")
    return Failure(Fault.MACHINE, f"Blender ended too early, with exit code {ended.code}.{last_output}")


def last_log_lines(log: Path | None, *, lines: int = 4, most_bytes: int = 4096) -> str:
    """Return the last lines of a log's Blender output, joined into one line."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - most_bytes))
        text = file.read(most_bytes).decode("utf-8", "replace")  # bounded: it may grow as fast as it is read
    last_output = (line.strip() for line in text.splitlines() if not line.startswith(_WORKER_LINES))
    last = deque(filter(None, last_output), maxlen=lines)
    return " | ".join(last)
