"""A connection as uvicorn has it, with limits of ours.

uvicorn has no limit for headers, neither for their size nor for their time, nor for what comes that nobody reads. Of
its protocol only what asyncio and httptools call is extended.
"""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from renderctl.server.connection_limits import KEY, REFUSED, REFUSED_S, Connections

#: Headers of a request, and bytes of them, with its address.
_MOST_HEADERS, _HEADER_BYTES = 200, 32 << 10
#: Bytes that come without anybody reading them; and requests that wait behind one that is not answered yet.
_UNREAD_BYTES, _MOST_PIPELINED = 1 << 20, 16
#: Seconds between two requests of a connection.
KEEP_ALIVE_S = 30


class GuardedConfig(uvicorn.Config):
    """What uvicorn is told, and the limits of its connections."""

    def __init__(self, app: Any, connections: Connections, **options: Any) -> None:
        most = connections.limits.connections + 2 * REFUSED  # uvicorn's own limit, behind ours: its 503 says nothing
        options |= {"timeout_keep_alive": KEEP_ALIVE_S, "limit_concurrency": most}
        super().__init__(app, http=GuardedProtocol, ws="none", **options)
        self.connections = connections


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with limits. The application says when it has a request, and when that is answered."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, KEY: self}, _loop)
        self.is_refused = self.is_counted = self.is_proxy = False
        self.registry = config.connections
        self._limits = config.connections.limits
        self._address_key: str | None = None
        self._answering = 0  #: requests of this connection that the application has
        self._pipelined = 0  #: and those that were read, all together
        self._late_at: float | None = None  #: when it is cut off; None: it is the application's turn
        self._has_asked = False
        self._in_headers = False
        self._messages = self._headers = self._unread = 0
        self._header_bytes = 0  #: that have come since the piece in which they began
        self._read_bytes = 0  #: that the parser has made headers of

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address_key = self.registry.enter(self, peer[0] if isinstance(peer, tuple) else None)
        if self._address_key is None:
            transport.abort()
        self._late_at = self.loop.time() + (REFUSED_S if self.is_refused else self._limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._address_key is not None:
            self.registry.leave(self, self._address_key)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._late_at is not None and self._has_asked:  # the next request of a connection that waited for it
            self._has_asked = False
            self._late_at = self.loop.time() + self._limits.header_s
        before = self._messages
        super().data_received(data)
        if self._in_headers and self._messages == before:
            self._header_bytes += len(data)
        if self._header_bytes > _HEADER_BYTES or self._unread > _UNREAD_BYTES:
            self.cut_off()

    # What the parser calls; what is raised here is answered with 400

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._messages += 1
        self._headers = self._header_bytes = self._read_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._read_bytes += len(name) + len(value)
        if self._headers > _MOST_HEADERS or self._read_bytes > _HEADER_BYTES:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._pipelined += 1
        if self._pipelined > _MOST_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()

    # What the application calls

    def begin(self) -> None:
        """The application has a request."""
        self._answering += 1
        self._late_at = None

    def consumed(self) -> None:
        """The application has read what has come of a body."""
        self._unread = 0

    def end(self) -> None:
        """It is answered."""
        self._answering -= 1
        self._pipelined -= 1
        self._unread = 0
        if not self._answering:
            self._has_asked = True
            self._late_at = self.loop.time() + max(KEEP_ALIVE_S, self._limits.header_s)

    def cut_off(self) -> None:
        """Let go of the client at once, whatever it has not read."""
        self.transport.abort()

    def uncount(self) -> None:
        """It counts for its address no more: something else limits it."""
        if self._address_key is not None:
            self.registry.uncount(self, self._address_key)

    def cut_off_if_late(self, now: float) -> None:
        """Let go of a client that asks too slowly, or does not read its answer."""
        if self._late_at is not None and now >= self._late_at:
            self.cut_off()
