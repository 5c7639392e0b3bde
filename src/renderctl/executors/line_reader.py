"""The lines that a process prints, until it has ended and its last one was read."""

import os
import select
import threading
import time
from collections import deque
from contextlib import suppress

from renderctl.executors.process_exit import ended

#: Bytes of a line that are kept; the rest of a longer one is thrown away. No event is that long.
LONGEST_LINE = (48 << 20) + (1 << 10)
_CHUNK = 1 << 16
_GLANCE_S = 0.05


class OutputLines:
    """Reads `descriptor`, a pipe from process `pid`, without a thread of its own.

    However long a line is, and however many there are, no more is held than one line and one chunk. It ends when the
    process has: a child that holds the pipe open does not matter.
    """

    def __init__(self, descriptor: int, pid: int) -> None:
        self.at_end = False
        self._descriptor = descriptor
        self._pid = pid
        self._lines: deque[bytes] = deque()
        self._begun = bytearray()
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._exit: int | None = None
        with suppress(AttributeError, OSError):  # a kernel before 5.3, or not Linux: looked at now and then
            self._exit = os.pidfd_open(pid)
            self._poll.register(self._exit, select.POLLIN)

    def read(self, timeout_s: float) -> str | None:
        """The next line; None: none came within `timeout_s` seconds, or it is `at_end`."""
        with self._lock:
            give_up = time.monotonic() + timeout_s
            while not self._lines and not self.at_end:
                left = max(give_up - time.monotonic(), 0.0)
                if not self._advance(left) and left == 0.0:
                    return None
            return self._lines.popleft().decode("utf-8", "surrogateescape") if self._lines else None

    def close(self) -> None:
        """Read no more. The caller closes its end of the pipe afterwards."""
        with self._lock:
            self.at_end = True
            self._lines.clear()
            if self._exit is not None:
                os.close(self._exit)
                self._exit = None

    def _advance(self, timeout_s: float) -> bool:
        """Wait for one event; whether there was one."""
        slice_s = timeout_s if self._exit is not None else min(timeout_s, _GLANCE_S)
        ready = {descriptor for descriptor, _ in self._poll.poll(slice_s * 1000)}
        if self._descriptor in ready:
            self._read_on()
            return True
        if self._exit in ready or (self._exit is None and ended(self._pid, 0.0)):
            self._finish()
            return True
        return False

    def _read_on(self) -> None:
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            self._poll.unregister(self._descriptor)
            return
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._begin(end)
            self._lines.append(bytes(self._begun))
            self._begun.clear()
        self._begin(rest)

    def _begin(self, piece: bytes) -> None:
        """Add to the line that has begun, as far as there is room."""
        self._begun += piece[: LONGEST_LINE - len(self._begun)]

    def _finish(self) -> None:
        if self._begun:
            self._lines.append(bytes(self._begun))
        self.at_end = True
