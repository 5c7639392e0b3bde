"""Limits of connections, in all and per address; those over a limit get an error."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import Overloaded
from renderctl.server.errors import error_response

#: Seconds that a refused connection has to send a request.
REFUSED_S = 2.0
#: Connections over a limit that get an error, in all and per address; further ones are aborted.
MAX_REFUSED, _MAX_REFUSED_PER_ADDRESS = 64, 8
#: The key of the connection in the state of a request.
CONNECTION_KEY = "renderctl.connection"
#: The hint for requests that a stopping server has not answered.
_STOPPING = "The request may have been carried out. Try again when the server is back."
#: The key in the scope of a request of what stops counting it for its address.
_STOP_COUNTING = "renderctl.uncount"


@dataclass(frozen=True)
class Limits:
    """Limits of time, in seconds, and of connections."""

    header_s: float
    send_s: float
    connections: int
    per_address: int
    proxies: Sequence[str] = ()  #: trusted proxies: their requests count for the addresses that they report


def address_key(host: str | None) -> str:
    """What counts as one address: of IPv6 a /64, within which a client has any number."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))


class OpenConnection(Protocol):
    """An open connection, as the registry and the middleware know it."""

    is_refused: bool  #: over a limit: it gets an error
    is_counted: bool  #: it counts for its address
    is_proxy: bool  #: of a trusted proxy
    registry: "ConnectionRegistry"

    def begin(self) -> None: ...
    def consumed(self) -> None: ...
    def end(self) -> None: ...
    def stop_counting(self) -> None: ...
    def abort(self) -> None: ...
    def abort_if_late(self, now: float) -> None: ...


class ConnectionRegistry:
    """The open connections. Not thread-safe: for the event loop alone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._trusts_all = "*" in limits.proxies
        self._proxies = [ip_network(proxy, strict=False) for proxy in limits.proxies if _is_network(proxy)]
        self._open: set[OpenConnection] = set()
        self._of_address: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: OpenConnection, host: str | None) -> str | None:
        """Add a connection; the key that it counts for. None: abort it."""
        key = address_key(host)
        is_proxy = self._is_proxy(host)
        is_full = len(self._open) - self._refused.total() >= self.limits.connections
        has_too_many = not is_proxy and self._of_address[key] >= self.limits.per_address
        if is_full or has_too_many:
            if self._refused.total() >= MAX_REFUSED or self._refused[key] >= _MAX_REFUSED_PER_ADDRESS:
                return None
            self._refused[key] += 1
            connection.is_refused = True
        elif not is_proxy:
            self._of_address[key] += 1
            connection.is_counted = True
        connection.is_proxy = is_proxy
        self._open.add(connection)
        if self._timer is None:
            self._check_later(asyncio.get_running_loop())
        return key

    def remove(self, connection: OpenConnection, key: str) -> None:
        """Remove a closed connection."""
        self._open.discard(connection)
        if connection.is_refused:
            _decrement(self._refused, key)
        self.stop_counting(connection, key)

    def stop_counting(self, connection: OpenConnection, key: str) -> None:
        """Count it in all, but not for its address any more: another limit applies."""
        if connection.is_counted:
            connection.is_counted = False
            _decrement(self._of_address, key)

    def count_request(self, host: str | None) -> "CountedRequest | None":
        """Count a request that a proxy reports for an address. None: the address has too many."""
        key = address_key(host)
        if self._of_address[key] >= self.limits.per_address:
            return None
        self._of_address[key] += 1
        return CountedRequest(self._of_address, key)

    def _is_proxy(self, host: str | None) -> bool:
        if self._trusts_all:
            return True
        try:
            address = ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if address.version == 6 else None
        return any((mapped or address) in network for network in self._proxies)

    def _check_later(self, loop: asyncio.AbstractEventLoop) -> None:
        limit_s = min(self.limits.header_s, self.limits.send_s, REFUSED_S)
        self._timer = loop.call_later(min(1.0, limit_s / 4), self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for connection in list(self._open):
            connection.abort_if_late(now)
        if self._open:
            self._check_later(loop)


class CountedRequest:
    """A request that counts for its address until it is released."""

    def __init__(self, counted: Counter[str], key: str) -> None:
        self._counted = counted
        self._key: str | None = key

    def release(self) -> None:
        """Stop counting it. May be called twice."""
        if self._key is not None:
            _decrement(self._counted, self._key)
            self._key = None


class ConnectionMiddleware:
    """Tells connections of their requests, refuses those over a limit, and aborts those of clients that do not read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: OpenConnection | None = scope.get("state", {}).get(CONNECTION_KEY)
        if scope["type"] != "http" or connection is None:
            await self._app(scope, receive, send)
            return
        connection.begin()
        try:
            await self._handle(connection, scope, receive, send)
        finally:
            connection.end()

    async def _handle(self, connection: OpenConnection, scope: Scope, receive: Receive, send: Send) -> None:
        registry, client = connection.registry, scope.get("client")
        counted = registry.count_request(client[0] if client else None) if connection.is_proxy else None
        if connection.is_refused or (connection.is_proxy and counted is None):
            response = error_response(Overloaded(hint="Close connections that you do not need, or try again later."))
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        send_s = registry.limits.send_s
        scope[_STOP_COUNTING] = connection.stop_counting if counted is None else counted.release

        is_answered = False

        async def receive_counted() -> Message:
            message = await receive()
            connection.consumed()
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            try:
                async with asyncio.timeout(send_s):
                    await send(message)
            except TimeoutError:
                connection.abort()

        try:
            await self._app(scope, receive_counted, send_in_time)
        except asyncio.CancelledError:  # the server is stopping, and has waited long enough for this request
            if not is_answered:
                await error_response(Overloaded("The server is stopping.", hint=_STOPPING))(
                    scope, receive, send_in_time
                )
        finally:
            if counted is not None:
                counted.release()


def stop_counting(scope: Scope) -> None:
    """Stop counting a long request for its address: another limit applies."""
    if _STOP_COUNTING in scope:
        scope[_STOP_COUNTING]()


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
