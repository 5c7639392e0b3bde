"""A TCP proxy to MySQL that cuts the connection after the server has committed and before the client hears of it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from tests import wires

_COMMIT = b"\x03COMMIT"  # COM_QUERY and its text


class Wire(wires.Wire):
    """Forwards every connection to the server."""

    def __init__(self, host: str, port: int) -> None:
        self.severs = threading.Event()  #: whether it breaks at the next COMMIT
        self.spares = 0  #: COMMITs that it lets through before
        self.late_s = 0.0  #: seconds for which the server is still at it when the client tries again
        super().__init__(host, port)

    def question(self, content: bytes, client: socket.socket) -> None:
        if _COMMIT in content and self.severs.is_set():
            if self.spares:
                self.spares -= 1
                return
            self.severs.clear()
            client.shutdown(socket.SHUT_RDWR)
            time.sleep(self.late_s)


@contextmanager
def wire_to(url: str) -> Iterator[tuple[Wire, str]]:
    """A wire, and the URL of the database at its other end."""
    parts = urlsplit(url)
    wire = Wire(parts.hostname or "127.0.0.1", parts.port or 3306)
    user, _, _ = parts.netloc.rpartition("@")
    try:
        yield wire, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{wire.port}"))
    finally:
        wire.close()
