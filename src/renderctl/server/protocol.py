"""uvicorn's protocol, with our limits.

uvicorn limits neither the size nor the time of headers, nor data that nobody reads. Only methods of its protocol that
asyncio and httptools call are extended.
"""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from renderctl.server.connection_limits import CONNECTION_KEY, MAX_REFUSED, REFUSED_S, ConnectionRegistry

#: Headers of a request, and their bytes, with the address.
_MAX_HEADERS, _HEADER_BYTES = 200, 32 << 10
#: Received bytes that nobody has read; and requests that are pipelined behind an unanswered one.
_UNREAD_BYTES, _MAX_PIPELINED = 1 << 20, 16
#: Seconds between two requests of a connection.
KEEP_ALIVE_S = 30


class GuardedConfig(uvicorn.Config):
    """The configuration of uvicorn, with the limits of its connections."""

    def __init__(self, app: Any, connections: ConnectionRegistry, **options: Any) -> None:
        limit = connections.limits.connections + 2 * MAX_REFUSED  # above our own limit: uvicorn's 503 has no message
        options |= {"timeout_keep_alive": KEEP_ALIVE_S, "limit_concurrency": limit}
        super().__init__(app, http=GuardedProtocol, ws="none", **options)
        self.connections = connections


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with limits. The application reports when it gets a request, and when it has answered it."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION_KEY: self}, _loop)
        self.is_refused = self.is_counted = self.is_proxy = False
        self.registry = config.connections
        self._limits = config.connections.limits
        self._address_key: str | None = None
        self._answering = 0  #: requests of this connection that the application is answering
        self._pipelined = 0  #: those that were parsed, in all
        self._deadline: float | None = None  #: when it is aborted; None: the application is answering
        self._is_idle = False
        self._in_headers = False
        self._messages = self._headers = self._unread = 0
        self._header_bytes = 0  #: received since the chunk in which they began
        self._read_bytes = 0  #: that the parser has turned into headers

    # Called by asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address_key = self.registry.add(self, peer[0] if isinstance(peer, tuple) else None)
        if self._address_key is None:
            transport.abort()
        self._deadline = self.loop.time() + (REFUSED_S if self.is_refused else self._limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._address_key is not None:
            self.registry.remove(self, self._address_key)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._deadline is not None and self._is_idle:  # the next request of an idle connection
            self._is_idle = False
            self._deadline = self.loop.time() + self._limits.header_s
        messages = self._messages
        super().data_received(data)
        if self._in_headers and self._messages == messages:
            self._header_bytes += len(data)
        if self._header_bytes > _HEADER_BYTES or self._unread > _UNREAD_BYTES:
            self.abort()

    # Called by the parser; an exception is answered with 400

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._messages += 1
        self._headers = self._header_bytes = self._read_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._read_bytes += len(name) + len(value)
        if self._headers > _MAX_HEADERS or self._read_bytes > _HEADER_BYTES:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._pipelined += 1
        if self._pipelined > _MAX_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()

    # Called by the application

    def begin(self) -> None:
        """The application begins to answer a request."""
        self._answering += 1
        self._deadline = None

    def consumed(self) -> None:
        """The application has read the received part of a body."""
        self._unread = 0

    def end(self) -> None:
        """The application has answered a request."""
        self._answering -= 1
        self._pipelined -= 1
        self._unread = 0
        if not self._answering:
            self._is_idle = True
            self._deadline = self.loop.time() + max(KEEP_ALIVE_S, self._limits.header_s)

    def abort(self) -> None:
        """Abort the connection at once, whatever the client has not read."""
        self.transport.abort()

    def stop_counting(self) -> None:
        """Stop counting the connection for its address: another limit applies."""
        if self._address_key is not None:
            self.registry.stop_counting(self, self._address_key)

    def abort_if_late(self, now: float) -> None:
        """Abort the connection of a client that sends a request too slowly."""
        if self._deadline is not None and now >= self._deadline:
            self.abort()
