"""The wire to renderctl: JSON lines in, JSON lines out, apart from everything that Blender prints."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from inside.faults import MachineFault, SceneFault

#: Every line of ours begins with it, so that what a `blender` prints before the script starts is told apart.
PREFIX = "@renderctl "

Document = dict[str, Any]


class Wire:
    """Orders come in, events go out. Iterating gives one order after the other until the input ends."""

    def __init__(self, orders: TextIO, events: TextIO) -> None:
        self._orders = orders
        self._events = events

    @classmethod
    def take(cls) -> "Wire":
        """Keep descriptors 0 and 1 for ourselves: from now on, others read nothing and print to descriptor 2."""
        orders, events = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(orders, events)

    def __iter__(self) -> Iterator[Document]:
        for line in iter(self._orders.readline, ""):
            yield json.loads(line)

    def emit(self, event: str, **fields: Any) -> None:
        """Send one event. With nobody left to read it, this process has no more reason to be."""
        try:
            self._events.write(PREFIX + json.dumps({"event": event, **fields}, default=str) + "\n")
            self._events.flush()
        except BrokenPipeError:
            os._exit(1)

    def fail(self, fault: SceneFault | MachineFault, *, task: str | None = None) -> None:
        """Say that a task, or (without one) whatever this script was asked for, came to nothing."""
        of_task = {"task": task} if task else {}
        self.emit("failed", fault=fault.kind, reason=str(fault), whole_job=fault.whole_job, **of_task)


@contextmanager
def printing_to(path: str) -> Iterator[None]:
    """Let descriptors 1 and 2, hence everything that Blender prints, end up in the file at `path` for a while."""
    before = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        _flush()
        for descriptor, earlier in zip((1, 2), before, strict=True):
            os.dup2(earlier, descriptor)
            os.close(earlier)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    _LIBC.fflush(None)


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


_LIBC = _libc()
