"""A wire to MySQL that breaks at the worst moment: the server has committed, and nobody hears of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_COMMIT = b"\x03COMMIT"  # COM_QUERY and its text


class Wire:
    """Forwards every connection to the server."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.severs = threading.Event()  #: whether it breaks at the next COMMIT
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            answers = threading.Thread(target=self._answers, args=(server, client), daemon=True)
            answers.start()
            self._questions(client, server)
            answers.join()

    def _questions(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while question := client.recv(1 << 16):
                if _COMMIT in question and self.severs.is_set():
                    self.severs.clear()
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(question)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(1 << 16):
                with suppress(OSError):
                    client.sendall(answer)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


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
