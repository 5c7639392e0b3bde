"""An S3 that fails: a real HTTP server whose responses a healthy S3 does not give."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from urllib.parse import parse_qs, urlsplit

from renderctl.core.settings import StoreSettings

_EMPTY_LIST = (
    b'<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>'
)


@dataclass(frozen=True)
class Asked:
    """A request of the client."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes
    headers: Mapping[str, str]

    @property
    def of_bucket(self) -> bool:
        return self.path.count("/") == 1


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False  #: end the connection in the middle of the body


def refusal(code: str, message: str = "", status: int = 403, **headers: str) -> Answer:
    """Return an error response of S3."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, body, {"Content-Type": "application/xml", **named})


def fine(asked: Asked) -> Answer:
    """Respond like an empty bucket that accepts every write and stores nothing."""
    if asked.method == "GET" and "location" in asked.query:
        return Answer(body=b'<?xml version="1.0"?><LocationConstraint/>', headers={"Content-Type": "application/xml"})
    if asked.method == "GET" and asked.of_bucket:
        return Answer(body=_EMPTY_LIST, headers={"Content-Type": "application/xml"})
    if asked.method == "POST" and "delete" in asked.query:
        return Answer(body=b'<?xml version="1.0"?><DeleteResult/>', headers={"Content-Type": "application/xml"})
    if asked.method == "PUT":
        return Answer(headers={"ETag": '"0"'})
    return Answer(404) if asked.method == "HEAD" else refusal("NoSuchKey", status=404)


class BrokenS3:
    """Responds with the first of `answers` that returns a response, and records the requests."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.asked: list[Asked] = []
        self.answers: list[Callable[[Asked], Answer | None]] = []

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return next((found for answer in self.answers if (found := answer(asked)) is not None), fine(asked))


@contextmanager
def broken_s3() -> Iterator[BrokenS3]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(url.query, keep_blank_values=True)
            self._send(broken.answer(Asked(self.command, url.path, query, body, dict(self.headers))))

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
            if answer.cut:
                self.wfile.flush()
                self.connection.shutdown(SHUT_RDWR)
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint = f"127.0.0.1:{server.server_port}"
    broken = BrokenS3(StoreSettings("minio", endpoint, "key", "s3cr3t", "bucket", secure=False))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield broken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
