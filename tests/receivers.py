"""Receivers of webhooks: real HTTP servers that answer, fail, hang, dribble or lead elsewhere as a test wants."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Heard:
    """A request, as it came."""

    path: str
    headers: dict[str, str]  #: by their names in lower case
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["renderctl-delivery"]

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """One that answers 200 until it is told otherwise, and keeps what it has heard."""

    url: str = ""
    status: int = 200
    answer: bytes = b"thank you"
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    on_heard: Callable[[Heard], object] = lambda _heard: None  #: before it answers

    @property
    def events(self) -> list[str]:
        return [each.headers["renderctl-event"] for each in self.heard]


@contextmanager
def receiving(*, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """A receiver on this machine, for as long as the context; with a certificate and its key it speaks TLS."""
    receiver = Receiver()

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            heard = Heard(self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
            receiver.heard.append(heard)
            receiver.on_heard(heard)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.answer)))
            self.end_headers()
            self.wfile.write(receiver.answer)

        def log_message(self, *_words: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_words: Any) -> None:
            """Whoever asked has gone: that is what some tests are about."""

    with Server(("127.0.0.1", 0), Asked) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
