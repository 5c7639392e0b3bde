"""The attempts that a worker holds: how far each is, and whether it has to stop."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.core.jobs import Attempt


@dataclass
class InFlightAttempt:
    """One attempt in a slot's hands."""

    attempt: Attempt
    stop: threading.Event = field(default_factory=threading.Event)
    progress: float = 0.0
    log: Path | None = None  #: while it is being rendered
    streamed_bytes: int = 0  #: bytes of the log that followers have
    stored_bytes: int = 0  #: bytes of it that the store has, at least
    reported_progress: float = 0.0  #: the progress that followers know of


class InFlight:
    """All of them, for the slots that fill it and the heart that reports it."""

    def __init__(self) -> None:
        self._attempts: dict[str, InFlightAttempt] = {}
        self._idle: set[object] = set()
        self._lock = threading.Lock()

    def add(self, attempts: Iterable[Attempt]) -> None:
        with self._lock:
            for attempt in attempts:
                self._attempts[attempt.id] = InFlightAttempt(attempt)

    def get(self, attempt: Attempt) -> InFlightAttempt:
        with self._lock:
            return self._attempts[attempt.id]

    def remove(self, attempt: Attempt) -> None:
        with self._lock:
            self._attempts.pop(attempt.id, None)

    def all(self) -> list[InFlightAttempt]:
        with self._lock:
            return list(self._attempts.values())

    def progress(self) -> dict[str, float]:
        return {entry.attempt.id: entry.progress for entry in self.all()}

    def set_idle(self, slot: object, *, idle: bool) -> None:
        """Whether a slot looks for work."""
        with self._lock:
            (self._idle.add if idle else self._idle.discard)(slot)

    @property
    def any_idle(self) -> bool:
        """Whether a slot looks for work."""
        with self._lock:
            return bool(self._idle)

    def stop(self, attempt_ids: Iterable[str]) -> None:
        ids = set(attempt_ids)
        for entry in self.all():
            if entry.attempt.id in ids:
                entry.stop.set()

    def stop_all(self) -> None:
        for entry in self.all():
            entry.stop.set()
