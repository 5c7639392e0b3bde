"""A server that answers what it likes, at an address of this machine."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Request:
    """What somebody asked it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


#: Answers a request by the handler of it.
Answer = Callable[[BaseHTTPRequestHandler, Request], None]


@dataclass
class EvilServer:
    """Its answers by `METHOD /path`, and all that it was asked."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def says(self, route: str, document: Any, status: int = 200) -> None:
        self.answers[route] = lambda handler, _request: send(handler, json.dumps(document).encode(), status)

    def sends(self, route: str, content: bytes, status: int = 200, **headers: str) -> None:
        self.answers[route] = lambda handler, _request: send(handler, content, status, **headers)

    def asked(self, route: str) -> list[Request]:
        return [request for request in self.requests if f"{request.method} {urlsplit(request.path).path}" == route]


def send(handler: BaseHTTPRequestHandler, content: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def endless(piece: bytes) -> Answer:
    """The same again and again, for as long as anybody reads."""

    def answer(handler: BaseHTTPRequestHandler, _request: Request) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(piece)
        except OSError:  # whoever asked has had enough
            handler.close_connection = True

    return answer


@contextmanager
def evil_server() -> Iterator[EvilServer]:
    evil = EvilServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            request = Request(self.command, self.path, dict(self.headers), self.rfile.read(size))
            evil.requests.append(request)
            route = f"{self.command} {urlsplit(self.path).path}"
            nothing: Answer = lambda handler, _request: send(handler, b"{}", 404)  # noqa: E731
            evil.answers.get(route, nothing)(self, request)

        do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        evil.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield evil
        finally:
            server.shutdown()
            thread.join()
