"""Detecting sessions that hang, take too long or flood their output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: Share of one core above which a process is active; a waiting one uses a little, too.
_IDLE_CPU_SHARE = 0.02


@dataclass(frozen=True)
class SessionTimeouts:
    """The time-outs of a session, in seconds."""

    start_s: float = 300.0  #: to start, to inspect a scene, to open it
    stall_s: float = 120.0  #: without a message and without use of the processor
    frame_s: float | None = None  #: for one frame; None: no limit


#: Characters that a session may print in a burst, and per second. A normal one prints a few hundred per second.
_BURST_CHARS, _CHARS_PER_S = 64 << 20, 1 << 20


class OutputBudget:
    """A token bucket of output characters, which detects scripts that flood the worker with lines."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: float = _BURST_CHARS
        self._filled_at = clock()

    def spend(self, chars: int) -> bool:
        """Consume the characters of a line; return whether the budget sufficed."""
        now = self._clock()
        self._tokens = min(_BURST_CHARS, self._tokens + (now - self._filled_at) * _CHARS_PER_S) - chars
        self._filled_at = now
        return self._tokens >= 0


class CpuUsage(Protocol):
    """A process whose processor time is known."""

    def busy_s(self) -> float:
        """Return the processor seconds used so far."""
        ...


class Watchdog:
    """Watches a process while a message is awaited from it."""

    def __init__(self, process: CpuUsage, stall_s: float, limit_s: float | None, clock: Callable[[], float]) -> None:
        self._process = process
        self._stall_s = stall_s
        self._limit_s = limit_s
        self._clock = clock
        self._started_at = self._active_at = self._sampled_at = clock()
        self._busy_s: float | None = None

    def feed(self) -> None:
        """Record a sign of life."""
        self._active_at = self._clock()

    def timeout_reason(self) -> str | None:
        """Return why the session should be ended, in a sentence, or None."""
        now = self._clock()
        if self._limit_s is not None and now - self._started_at > self._limit_s:
            return f"Blender took longer than {self._limit_s:g} s."
        if now - self._sampled_at >= min(1.0, self._stall_s / 4):
            self._sample(now)
        if now - self._active_at > self._stall_s:
            return f"Blender neither sent a message nor used the processor for {self._stall_s:g} s."
        return None

    def _sample(self, now: float) -> None:
        busy_s = self._process.busy_s()
        if self._busy_s is not None and busy_s - self._busy_s > _IDLE_CPU_SHARE * (now - self._sampled_at):
            self._active_at = now
        self._busy_s, self._sampled_at = busy_s, now
