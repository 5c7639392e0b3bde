"""Clients that speak HTTP badly, or hardly at all."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

WITHIN_S = 20.0


class Client:
    """One connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=WITHIN_S)

    def send(self, data: bytes) -> bool:
        """Whether somebody took it."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, every_s: float = 0.05) -> float:
        """Send it byte by byte for as long as that can be done: how many seconds that was."""
        began = time.monotonic()
        self._socket.settimeout(every_s)
        for number in range(int(WITHIN_S / every_s)):
            if not self.send(data[number % len(data)].to_bytes()):
                break
            try:
                if self._socket.recv(1, socket.MSG_PEEK) == b"":
                    break
                if b"HTTP/1.1 4" in self._socket.recv(12, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self._socket.settimeout(WITHIN_S)
        return time.monotonic() - began

    def answer(self) -> bytes:
        """All that comes until the other side closes, or has said what it has to say."""
        said = b""
        with suppress(OSError):
            while piece := self._socket.recv(1 << 16):
                said += piece
                head, end, body = said.partition(b"\r\n\r\n")
                length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b"")
                if end and length and len(body) >= int(length.partition(b":")[2]):
                    break
        return said

    def all(self) -> bytes:
        """All that comes until the other side closes."""
        said = bytearray()
        with suppress(ConnectionError):
            while piece := self._socket.recv(1 << 20):
                said += piece
        return bytes(said)

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the other side closes by itself."""
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self._socket.close()


@contextmanager
def clients(url: str, count: int) -> Iterator[list[Client]]:
    """So many connections, for as long as the context."""
    opened = [Client(url) for _ in range(count)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


def get(path: str, **headers: str) -> bytes:
    """A request without a body."""
    lines = [f"GET {path} HTTP/1.1", "Host: farm.test", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0
