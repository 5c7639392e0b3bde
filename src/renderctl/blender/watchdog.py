"""Telling a Blender that works from one that hangs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: A process that waits still uses the processor a little; this share of one core is work.
_IDLE_SHARE = 0.02


@dataclass(frozen=True)
class SessionTimeouts:
    """How long a session may take, in seconds."""

    start_s: float = 300.0  #: to start, to look at a scene, to open it
    stall_s: float = 120.0  #: without a word and without use of the processor
    frame_s: float | None = None  #: for one frame; None: no limit


#: Characters that a session may say at once, and each second from then on. Ours says a few hundred a second.
_BURST_CHARS, _CHARS_PER_S = 64 << 20, 1 << 20


class OutputBudget:
    """How much a session may say (a token bucket): scripts that flood the worker with lines are found out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: float = _BURST_CHARS
        self._filled = clock()

    def spend(self, chars: int) -> bool:
        """Take the characters of a line from it; whether they were left."""
        now = self._clock()
        self._left = min(_BURST_CHARS, self._left + (now - self._filled) * _CHARS_PER_S) - chars
        self._filled = now
        return self._left >= 0


class CpuUsage(Protocol):
    def busy_s(self) -> float: ...


class Watchdog:
    """Looks at a process while something is awaited from it."""

    def __init__(self, process: CpuUsage, stall_s: float, limit_s: float | None, clock: Callable[[], float]) -> None:
        self._process = process
        self._stall_s = stall_s
        self._limit_s = limit_s
        self._clock = clock
        self._began = self._alive = self._looked = clock()
        self._busy: float | None = None

    def heard(self) -> None:
        """It has spoken."""
        self._alive = self._clock()

    def complaint(self) -> str | None:
        """Why it should be given up, in a sentence; None: it works."""
        now = self._clock()
        if self._limit_s is not None and now - self._began > self._limit_s:
            return f"Blender took longer than {self._limit_s:g} s."
        if now - self._looked >= min(1.0, self._stall_s / 4):
            self._look(now)
        if now - self._alive > self._stall_s:
            return f"Blender neither spoke nor used the processor for {self._stall_s:g} s."
        return None

    def _look(self, now: float) -> None:
        busy = self._process.busy_s()
        if self._busy is not None and busy - self._busy > _IDLE_SHARE * (now - self._looked):
            self._alive = now
        self._busy, self._looked = busy, now
