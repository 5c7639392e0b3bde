"""The body of a request: how many bytes of it may be read, how slowly they may come, and how long it is waited for.

A request begins with the little that anybody may send. Whoever is known may send more: `allow` says so, and it is
called before a byte is read.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import TooLarge, TooSlow
from renderctl.server.errors import error_response

#: Bytes that anybody may send, known or not.
STRANGER_BYTES = 64 << 10
#: Bytes of a body that lists files: 100,000 of them, with long paths.
MANIFEST_BYTES = 32 << 20
#: Bytes of a path with its query.
_ADDRESS_BYTES = 8192
#: Bytes a second that a body brings at least, once its first seconds are over.
LEAST_RATE = 500
#: What comes of a body that nobody reads is thrown away for so long, so that the answer is read; and so much of it.
_DRAIN_S, _DRAIN_BYTES = 2.0, 32 << 20
#: Digits of a length that are looked at: with so many it is too much anyway.
_MOST_DIGITS = 18
_KEY = "renderctl.request_body"


class RequestBody:
    """What a request brings along; `receive` is what the application reads it with."""

    def __init__(self, headers: list[tuple[bytes, bytes]], receive: Receive, patience_s: float) -> None:
        lengths = [value for name, value in headers if name == b"content-length"]
        chunked = any(name == b"transfer-encoding" for name, _ in headers)
        self._declared = int(lengths[0][:_MOST_DIGITS]) if lengths and lengths[0].isdigit() else 0
        self._receive = receive
        self._patience_s = patience_s
        self._allowed: int | None = STRANGER_BYTES
        self._received = 0
        self._waited_s = 0.0
        self.pending = self._declared > 0 or chunked  #: whether some of it may still come
        self.answered = False  #: what comes now is read by nobody, but to learn that the client has gone

    def allow(self, most: int | None) -> None:
        """So many bytes may come; None: whoever reads them counts them."""
        self._allowed = most

    async def receive(self) -> Message:
        """The next piece. Raises TooLarge, before a byte is read where the length is declared, and TooSlow."""
        if not self.pending or self.answered:
            return await self._rest()
        self._require_room(self._declared)
        message = await self._in_time()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self.pending = message.get("more_body", False)
            self._require_room(self._received)
        else:
            self.pending = False
        return message

    async def drain(self) -> None:
        """Throw away what comes, for a moment: a client that is still sending reads no answer."""
        seen = 0
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self.pending and seen < _DRAIN_BYTES:
                    message = await self._receive()
                    seen += len(message.get("body", b""))
                    self.pending = message.get("more_body", False)
        except TimeoutError:
            pass

    async def _rest(self) -> Message:
        """The end: of an empty body, of one that nobody wants any more, or of the connection."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self.pending = message.get("more_body", False)
            if self._received > (self._allowed or STRANGER_BYTES):
                return {"type": "http.disconnect"}
        return message

    async def _in_time(self) -> Message:
        """Only what is waited for here counts: the time that a disk takes is not the client's."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        patience_s = self._patience_s + self._received / LEAST_RATE - self._waited_s
        try:
            async with asyncio.timeout(patience_s):
                return await self._receive()
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._waited_s += loop.time() - began

    def _require_room(self, size: int) -> None:
        if self._allowed is not None and size > self._allowed:
            raise TooLarge(f"The request is too large: {self._allowed} bytes may be sent here.")


def body_of(scope: Mapping[str, Any]) -> RequestBody:
    """The body of a request that came through the middleware."""
    body: RequestBody = scope[_KEY]
    return body


class RequestBodyMiddleware:
    """Around every request: its body is limited, and an answer that comes before its end reaches the client."""

    def __init__(self, app: ASGIApp, patience_s: float) -> None:
        self._app = app
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope["query_string"]) + len(scope["path"]) > _ADDRESS_BYTES:
            await error_response(TooLarge("The address is too long."), status=414)(scope, receive, send)
            return
        body = scope[_KEY] = RequestBody(scope["headers"], receive, self._patience_s)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                body.answered = True
                if body.pending:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif body.pending and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            await self._app(scope, body.receive, sending)
        except (TooLarge, TooSlow) as error:  # what reads it is no route of ours
            if body.answered:
                raise
            await error_response(error)(scope, receive, sending)
