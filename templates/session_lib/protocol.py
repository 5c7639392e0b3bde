"""The session protocol: requests and events as JSON lines, separate from everything that Blender prints."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from session_lib.faults import MachineFault, SceneFault

#: Prefix of every event line, which tells it from what `blender` prints before the script starts.
PREFIX = "@renderctl "

JsonObject = dict[str, Any]


class ProtocolChannel:
    """Requests come in, events go out. Iterating yields requests until the input ends."""

    def __init__(self, requests: TextIO, events: TextIO) -> None:
        self._requests = requests
        self._events = events

    @classmethod
    def take(cls) -> "ProtocolChannel":
        """Claim descriptors 0 and 1; afterwards others read nothing from 0, and 1 is a copy of descriptor 2."""
        requests, events = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(requests, events)

    def __iter__(self) -> Iterator[JsonObject]:
        for line in iter(self._requests.readline, ""):
            yield json.loads(line)

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event. Exits the process if nobody reads it any more."""
        try:
            self._events.write(PREFIX + json.dumps({"event": event, **fields}, default=str) + "\n")
            self._events.flush()
        except BrokenPipeError:
            os._exit(1)

    def fail(self, fault: SceneFault | MachineFault, *, task: str | None = None) -> None:
        """Send a `failed` event for a task, or without one for the script."""
        of_task = {"task": task} if task else {}
        self.emit("failed", fault=fault.kind, reason=str(fault), whole_job=fault.whole_job, **of_task)


@contextmanager
def redirect_output_to(path: str) -> Iterator[None]:
    """Redirect descriptors 1 and 2, and so everything that Blender prints, to the file at `path` in the block."""
    saved = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        _flush()
        for descriptor, saved_descriptor in zip((1, 2), saved, strict=True):
            os.dup2(saved_descriptor, descriptor)
            os.close(saved_descriptor)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    _LIBC.fflush(None)


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


_LIBC = _libc()
