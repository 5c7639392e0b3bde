"""Wires: what carries bytes between a client and a server, and may listen, count, and break."""

import socket
import threading
from contextlib import suppress


class Wire:
    """Forwards every connection to the server. `question` and `answer` are called with what is carried."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody listens any more: connections are refused."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def question(self, content: bytes, client: socket.socket) -> None:
        """What the client says, before it is forwarded."""

    def answer(self, content: bytes, client: socket.socket) -> None:
        """What the server says, before it is forwarded."""

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
            while content := client.recv(1 << 16):
                self.question(content, client)
                server.sendall(content)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(1 << 16):
                self.answer(content, client)
                with suppress(OSError):
                    client.sendall(content)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
