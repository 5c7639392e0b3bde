"""The streams of a container: lines in, lines out, what it prints on standard error into a file."""

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

#: Each piece of output comes after the number of its stream and its length, big-endian.
_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_CHUNK = 1 << 16
#: Bytes of lines that wait to be read; beyond that the container has to wait.
_AHEAD = 16 << 20
#: A longer line is nothing that we have asked for; bytes.
LONGEST_LINE = 64 << 20
#: Of a log that is longer the rest is thrown away; bytes.
LONGEST_LOG = 64 << 20


class AttachedStreams:
    """Reads in a thread of its own until the container has ended, or the connection to it."""

    def __init__(self, connection: Any, log: Path) -> None:
        """`connection` is the SDK's: a socket, or a file that has one."""
        self._connection = connection
        self._socket = getattr(connection, "_sock", connection)
        if isinstance(self._socket, socket.socket):
            self._socket.settimeout(None)  # a container may be silent for as long as it likes
        self._log: IO[bytes] = log.open("ab")
        self._logged = 0
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes of them
        self._begun = bytearray()
        self._news = threading.Condition()
        self._closed = False
        self.too_long = False  #: it has begun a line that is longer than any that we could want
        self.ended = threading.Event()  #: it says nothing more
        self._thread = threading.Thread(target=self._run, name="container", daemon=True)
        self._thread.start()

    def write(self, text: bytes) -> None:
        """To its standard input. Raises OSError when nobody listens."""
        self._socket.sendall(text)

    def read(self, timeout_s: float) -> str | None:
        """The next line; None: none came within `timeout_s` seconds, or it is `at_end`."""
        with self._news:
            self._news.wait_for(lambda: self._lines or self.ended.is_set(), timeout_s)
            if not self._lines:
                return None
            line = self._lines.popleft()
            self._waiting -= len(line)
            self._news.notify_all()
            return line.decode("utf-8", "surrogateescape")

    @property
    def at_end(self) -> bool:
        """Whether it has ended and its last line was read."""
        return self.ended.is_set() and not self._lines

    def close(self) -> None:
        """Read no more."""
        with self._news:
            self._closed = True
            self._lines.clear()
            self._news.notify_all()
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
                while (header := self._exactly(_HEADER.size)) is not None:
                    stream, length = _HEADER.unpack(header)
                    self._pass_on(stream, length)
        finally:
            with self._news:
                if self._begun and not self._closed:
                    self._lines.append(bytes(self._begun))
                self.ended.set()
                self._news.notify_all()

    def _pass_on(self, stream: int, length: int) -> None:
        while length > 0:
            piece = self._socket.recv(min(length, _CHUNK))
            if not piece:
                return
            length -= len(piece)
            if stream == _STDERR:
                self._keep(piece)
            else:
                self._hear(piece)

    def _exactly(self, size: int) -> bytes | None:
        read = b""
        while len(read) < size:
            piece = self._socket.recv(size - len(read))
            if not piece:
                return None
            read += piece
        return read

    def _keep(self, piece: bytes) -> None:
        kept = piece[: max(0, LONGEST_LOG - self._logged)]
        self._logged += len(kept)
        self._log.write(kept)
        self._log.flush()

    def _hear(self, piece: bytes) -> None:
        *whole, rest = piece.split(b"\n")
        with self._news:
            for each in whole:
                self._begun += each
                self._lines.append(bytes(self._begun))
                self._waiting += len(self._begun)
                self._begun.clear()
            if len(self._begun) + len(rest) > LONGEST_LINE:
                self.too_long = True
                return
            self._begun += rest
            self._news.notify_all()
            self._news.wait_for(lambda: self._waiting < _AHEAD or self._closed)
