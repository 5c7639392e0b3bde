"""The body of a request: limits of its bytes, and of the time that it takes.

Every request begins with the small limit of anonymous clients. An authenticated user may send more: `allow` is called
before a byte is read.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import TooLarge, TooSlow
from renderctl.server.errors import error_response

#: Bytes that anybody may send without authentication.
ANONYMOUS_BODY_BYTES = 64 << 10
#: Bytes of a body that lists files: 100,000 of them, with long paths.
MANIFEST_BYTES = 32 << 20
#: Bytes of a path with its query.
_MAX_ADDRESS_BYTES = 8192
#: Least bytes per second of a body, after its first seconds.
MIN_RATE = 500
#: Seconds for which, and bytes up to which, an unread body is discarded, so that the client reads the response.
_DRAIN_S, _DRAIN_BYTES = 2.0, 32 << 20
#: Digits of a length that are parsed: so many are over any limit.
_MAX_DIGITS = 18
_KEY = "renderctl.request_body"


class RequestBody:
    """The body of one request; the application reads it with `receive`."""

    def __init__(self, headers: list[tuple[bytes, bytes]], receive: Receive, timeout_s: float) -> None:
        lengths = [value for name, value in headers if name == b"content-length"]
        chunked = any(name == b"transfer-encoding" for name, _ in headers)
        self._declared = int(lengths[0][:_MAX_DIGITS]) if lengths and lengths[0].isdigit() else 0
        self._receive = receive
        self._timeout_s = timeout_s
        self._max_bytes: int | None = ANONYMOUS_BODY_BYTES
        self._received = 0
        self._waited_s = 0.0
        self.pending = self._declared > 0 or chunked  #: some of it may still come
        self.answered = False  #: from now on it is read only to notice that the client has gone

    def allow(self, max_bytes: int | None) -> None:
        """Set the limit; None: the reader counts the bytes itself."""
        self._max_bytes = max_bytes

    async def receive(self) -> Message:
        """The next chunk. Raises TooSlow, and TooLarge, before a byte is read where the length is declared."""
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
        """Discard what comes, for a moment: a client that is still sending does not read the response."""
        discarded = 0
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self.pending and discarded < _DRAIN_BYTES:
                    message = await self._receive()
                    discarded += len(message.get("body", b""))
                    self.pending = message.get("more_body", False)
        except TimeoutError:
            pass

    async def _rest(self) -> Message:
        """The end: of an empty body, of one that is not read any more, or of the connection."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self.pending = message.get("more_body", False)
            if self._received > (self._max_bytes or ANONYMOUS_BODY_BYTES):
                return {"type": "http.disconnect"}
        return message

    async def _in_time(self) -> Message:
        """Only the time waited here counts for the client, not that of our disk."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        timeout_s = self._timeout_s + self._received / MIN_RATE - self._waited_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._receive()
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._waited_s += loop.time() - started

    def _require_room(self, size: int) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            raise TooLarge(f"The request is too large: {self._max_bytes} bytes are the limit here.")


def body_of(scope: Mapping[str, Any]) -> RequestBody:
    """The body of a request that came through the middleware."""
    body: RequestBody = scope[_KEY]
    return body


class RequestBodyMiddleware:
    """Limits the body of every request, and sees that a response before its end reaches the client."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope["query_string"]) + len(scope["path"]) > _MAX_ADDRESS_BYTES:
            await error_response(TooLarge("The address is too long."), status=414)(scope, receive, send)
            return
        body = scope[_KEY] = RequestBody(scope["headers"], receive, self._timeout_s)

        async def send_before_end(message: Message) -> None:
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
            await self._app(scope, body.receive, send_before_end)
        except (TooLarge, TooSlow) as error:  # raised outside of our routes
            if body.answered:
                raise
            await error_response(error)(scope, receive, send_before_end)
