"""Reading lines from a process's pipe, without a thread, until the process has ended."""

import os
import select
import threading
import time
from collections import deque
from contextlib import suppress

from renderctl.executors.process_exit import has_ended

#: Bytes of a line that are kept; the rest is dropped. No event is that long.
MAX_LINE_BYTES = (48 << 20) + (1 << 10)
_CHUNK = 1 << 16
_POLL_S = 0.05


class LineReader:
    """Reads lines from `descriptor`, a pipe from process `pid`.

    Memory is bounded by one line and one chunk. Reading ends with the process, even if a child keeps the pipe open.
    """

    def __init__(self, descriptor: int, pid: int) -> None:
        self.at_end = False
        self._descriptor = descriptor
        self._pid = pid
        self._lines: deque[bytes] = deque()
        self._partial = bytearray()
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._pidfd: int | None = None
        with suppress(AttributeError, OSError):  # a kernel before 5.3, or not Linux: polled instead
            self._pidfd = os.pidfd_open(pid)
            self._poll.register(self._pidfd, select.POLLIN)

    def read(self, timeout_s: float) -> str | None:
        """Return the next line, or None if none came within `timeout_s` seconds or it is `at_end`."""
        with self._lock:
            deadline = time.monotonic() + timeout_s
            while not self._lines and not self.at_end:
                remaining = max(deadline - time.monotonic(), 0.0)
                if not self._advance(remaining) and remaining == 0.0:
                    return None
            return self._lines.popleft().decode("utf-8", "surrogateescape") if self._lines else None

    def close(self) -> None:
        """Stop reading. The caller closes its end of the pipe afterwards."""
        with self._lock:
            self.at_end = True
            self._lines.clear()
            if self._pidfd is not None:
                os.close(self._pidfd)
                self._pidfd = None

    def _advance(self, timeout_s: float) -> bool:
        """Wait for one event; return whether there was one."""
        slice_s = timeout_s if self._pidfd is not None else min(timeout_s, _POLL_S)
        ready = {descriptor for descriptor, _ in self._poll.poll(slice_s * 1000)}
        if self._descriptor in ready:
            self._read_chunk()
            return True
        if self._pidfd in ready or (self._pidfd is None and has_ended(self._pid, 0.0)):
            self._finish()
            return True
        return False

    def _read_chunk(self) -> None:
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            self._poll.unregister(self._descriptor)
            return
        *lines, partial = chunk.split(b"\n")
        for line in lines:
            self._append(line)
            self._lines.append(bytes(self._partial))
            self._partial.clear()
        self._append(partial)

    def _append(self, data: bytes) -> None:
        """Add to the partial line, up to MAX_LINE_BYTES."""
        self._partial += data[: MAX_LINE_BYTES - len(self._partial)]

    def _finish(self) -> None:
        if self._partial:
            self._lines.append(bytes(self._partial))
        self.at_end = True
