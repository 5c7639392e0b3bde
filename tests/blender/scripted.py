"""A Blender that follows a script: what a session makes of what is said, without a process."""

import json
from collections.abc import Iterable
from pathlib import Path

from renderctl.blender.events import PREFIX
from renderctl.core.errors import SessionEnded
from renderctl.executors import ExitStatus
from tests.fakes import FakeClock


class ScriptedBlender:
    """Says one line after the other. None: silence, while `busy_share` of a core is used; an ExitStatus: the end."""

    def __init__(self, clock: FakeClock, lines: Iterable[object], busy_share: float = 0.0) -> None:
        self.sent: list[dict[str, object]] = []
        self.stopped = False
        self._clock = clock
        self._lines = iter(lines)
        self._busy_share = busy_share
        self._status = ExitStatus(0)

    def send(self, line: str) -> None:
        self.sent.append(json.loads(line))

    def receive(self, timeout_s: float) -> str | None:
        line = next(self._lines, None)
        if isinstance(line, ExitStatus):
            self._status = line
            raise SessionEnded
        if line is None:
            self._clock.advance(seconds=timeout_s)
            return None
        return line if isinstance(line, str) else PREFIX + json.dumps(line)

    def busy_s(self) -> float:
        return self._clock.monotonic() * self._busy_share

    def deliver(self, path: Path) -> None: ...

    def fetch(self, path: Path) -> None: ...

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        self.stopped = True
        return self._status
