"""What the end of a session means: whose fault it is, and how to say so."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from renderctl.core.errors import RenderctlError
from renderctl.core.jobs import Failure, Fault

#: Signals that a crash ends with (on every platform we know).
CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
KILLED = 9
#: How the lines of a log begin that are not Blender's: the command, and what became of the attempt.
_WORKER_LINES = ("$ ", "# ")


class SessionFailed(RenderctlError):
    """Blender could not do it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class SessionStopped(RenderctlError):
    """Blender was stopped because it was asked to."""


class InvalidEvent(RenderctlError):
    """A session said what no session of ours says: scripts of the scene have disturbed it."""

    @property
    def failure(self) -> Failure:
        """What the attempt fails with: every other one would be disturbed alike."""
        reason = f"Blender's answer makes no sense ({self.message}): scripts of the scene have disturbed it."
        return Failure(Fault.SCENE, reason, whole_job=True)


class ProcessExit(Protocol):
    """How a process ended (`executors.ExitStatus`)."""

    @property
    def code(self) -> int | None: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def out_of_memory(self) -> bool: ...
    @property
    def failure(self) -> Failure | None: ...


def failure_of_exit(ended: ProcessExit, last_words: str) -> Failure:
    """The failure behind a session that ended by itself. Another machine, or another try, may do better."""
    signal = ended.signal or (ended.code - 128 if ended.code and ended.code > 128 else None)
    said = f" It said last: {last_words}" if last_words else ""
    if ended.failure is not None:
        return replace(ended.failure, reason=f"{ended.failure.reason}{said}")
    if ended.out_of_memory:
        return Failure(Fault.MACHINE, "Blender ran out of memory and was killed.")
    if signal == KILLED:
        return Failure(Fault.MACHINE, f"Blender was killed, most likely because memory ran out.{said}")
    if signal in CRASHES:
        return Failure(Fault.MACHINE, f"Blender crashed ({CRASHES[signal]}).{said}")
    if signal:
        return Failure(Fault.MACHINE, f"Blender was ended by signal {signal}.{said}")
    return Failure(Fault.MACHINE, f"Blender ended too early, with exit code {ended.code}.{said}")


def last_log_lines(log: Path | None, *, lines: int = 4, most_bytes: int = 4096) -> str:
    """The last lines of a log, in one line."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - most_bytes))
        text = file.read(most_bytes).decode("utf-8", "replace")  # it may be growing as fast as it is read
    said = (line.strip() for line in text.splitlines() if not line.startswith(_WORKER_LINES))
    kept = deque(filter(None, said), maxlen=lines)
    return " | ".join(kept)
