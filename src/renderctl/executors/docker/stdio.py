"""The attached streams of a container: lines to stdin and from stdout, stderr into a log file."""

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

#: Header of each frame of output: the stream's number and the frame's length, big-endian (Docker's attach protocol).
_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_CHUNK = 1 << 16
#: Bytes of unread lines; beyond that the container blocks.
_MAX_BUFFERED_BYTES = 16 << 20
#: Bytes of the longest line; no event is longer.
MAX_LINE_BYTES = 64 << 20
#: Bytes of a log; the rest is dropped.
MAX_LOG_BYTES = 64 << 20


class AttachedStreams:
    """Reads the streams in a thread, until the container or the connection has ended."""

    def __init__(self, connection: Any, log: Path) -> None:
        """`connection` is the SDK's: a socket, or a file object that wraps one."""
        self._connection = connection
        self._socket = getattr(connection, "_sock", connection)
        if isinstance(self._socket, socket.socket):
            self._socket.settimeout(None)  # a silent container is no error
        self._log: IO[bytes] = log.open("ab")
        self._logged_bytes = 0
        self._lines: deque[bytes] = deque()
        self._buffered_bytes = 0  # of `_lines`
        self._partial = bytearray()
        self._changed = threading.Condition()
        self._closed = False
        self.line_too_long = False  #: a line exceeds MAX_LINE_BYTES
        self.ended = threading.Event()  #: set when the output has ended
        self._thread = threading.Thread(target=self._run, name="container", daemon=True)
        self._thread.start()

    def write(self, text: bytes) -> None:
        """Write to its standard input. Raises OSError if it is closed."""
        self._socket.sendall(text)

    def read(self, timeout_s: float) -> str | None:
        """Return the next line, or None if none came within `timeout_s` seconds or it is `at_end`."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self.ended.is_set(), timeout_s)
            if not self._lines:
                return None
            line = self._lines.popleft()
            self._buffered_bytes -= len(line)
            self._changed.notify_all()
            return line.decode("utf-8", "surrogateescape")

    @property
    def at_end(self) -> bool:
        """Whether the output has ended and its last line was read."""
        return self.ended.is_set() and not self._lines

    def close(self) -> None:
        """Stop reading and close the log."""
        with self._changed:
            self._closed = True
            self._lines.clear()
            self._changed.notify_all()
        with suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._connection.close()
        self._thread.join()
        with suppress(OSError):
            self._socket.close()

    def _run(self) -> None:
        try:
            with self._log, suppress(OSError, ValueError):  # ValueError: closed by us
                while (header := self._read_exactly(_HEADER.size)) is not None:
                    stream, length = _HEADER.unpack(header)
                    self._forward(stream, length)
        finally:
            with self._changed:
                if self._partial and not self._closed:
                    self._lines.append(bytes(self._partial))
                self.ended.set()
                self._changed.notify_all()

    def _forward(self, stream: int, length: int) -> None:
        while length > 0:
            chunk = self._socket.recv(min(length, _CHUNK))
            if not chunk:
                return
            length -= len(chunk)
            if stream == _STDERR:
                self._append_log(chunk)
            else:
                self._add_lines(chunk)

    def _read_exactly(self, size: int) -> bytes | None:
        read = b""
        while len(read) < size:
            chunk = self._socket.recv(size - len(read))
            if not chunk:
                return None
            read += chunk
        return read

    def _append_log(self, chunk: bytes) -> None:
        part = chunk[: max(0, MAX_LOG_BYTES - self._logged_bytes)]
        self._logged_bytes += len(part)
        self._log.write(part)
        self._log.flush()

    def _add_lines(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        with self._changed:
            for line in lines:
                self._partial += line
                self._lines.append(bytes(self._partial))
                self._buffered_bytes += len(self._partial)
                self._partial.clear()
            if len(self._partial) + len(rest) > MAX_LINE_BYTES:
                self.line_too_long = True
                return
            self._partial += rest
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._buffered_bytes < _MAX_BUFFERED_BYTES or self._closed)
