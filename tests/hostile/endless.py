"""Requests of any size, without a socket: what a server reads of a body is counted."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from starlette.types import ASGIApp, Message

PIECE = 64 << 10


@dataclass
class Answer:
    """What came of a request, and how much of its body was read before the answer began."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    read: int = 0

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


def endless(first: bytes = b"") -> Iterator[bytes]:
    """A body that never ends."""
    yield first
    yield from repeat(b" " * PIECE)


def ask(app: ASGIApp, method: str, path: str, headers: dict[str, str], pieces: Iterable[bytes]) -> Answer:
    """Send the pieces, one whenever the server reads, for as long as it does."""
    answer, sending = Answer(), iter(pieces)

    async def receive() -> Message:
        await asyncio.sleep(0)
        piece = next(sending, None)
        if piece is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        if not answer.status:
            answer.read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message["body"]

    path, _, query = path.partition("?")
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": raw, "scheme": "http", "http_version": "1.1", "client": ("192.0.2.7", 4711), "root_path": "",
        "server": ("farm.test", 80), "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": {},
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return answer
