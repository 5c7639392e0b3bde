"""Connections: how many there may be, in all and of an address, and what is said to those that are too many."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import Overloaded
from renderctl.server.errors import error_response

#: Seconds until a connection that is refused has to have asked.
REFUSED_S = 2.0
#: Connections over the limit that are still told so, in all and of an address; further ones are cut off.
REFUSED, _REFUSED_OF_AN_ADDRESS = 64, 8
#: What the scope of a request has its connection as.
KEY = "renderctl.connection"
#: And what makes it count for its address no more.
_STOPPING = "What was asked may have been done. Ask again when the server is back."
_UNCOUNT = "renderctl.uncount"


@dataclass(frozen=True)
class Limits:
    """Seconds, and connections."""

    header_s: float
    send_s: float
    connections: int
    per_address: int
    proxies: Sequence[str] = ()  #: they ask for many, and are not counted by their own address


def address_key(host: str | None) -> str:
    """What counts as one address: of IPv6 it is a /64, of which anybody has as many as they like."""
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
    """One that is open, as `Connections` and the middleware know it."""

    is_refused: bool  #: it is told so, and nothing else
    is_counted: bool  #: for its address
    is_proxy: bool  #: one that is believed: others ask by way of it
    registry: "Connections"

    def begin(self) -> None: ...
    def consumed(self) -> None: ...
    def end(self) -> None: ...
    def uncount(self) -> None: ...
    def cut_off(self) -> None: ...
    def cut_off_if_late(self, now: float) -> None: ...


class Connections:
    """Those that are open. All of it happens on the loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._everybody = "*" in limits.proxies
        self._proxies = [ip_network(each, strict=False) for each in limits.proxies if _is_network(each)]
        self._open: set[OpenConnection] = set()
        self._of_address: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._looking: asyncio.TimerHandle | None = None

    def enter(self, connection: OpenConnection, host: str | None) -> str | None:
        """A new one: what it counts as. None: it is to be cut off."""
        key = address_key(host)
        is_proxy = self._is_proxy(host)
        full = len(self._open) - self._refused.total() >= self.limits.connections
        many = not is_proxy and self._of_address[key] >= self.limits.per_address
        if full or many:
            if self._refused.total() >= REFUSED or self._refused[key] >= _REFUSED_OF_AN_ADDRESS:
                return None
            self._refused[key] += 1
            connection.is_refused = True
        elif not is_proxy:
            self._of_address[key] += 1
            connection.is_counted = True
        connection.is_proxy = is_proxy
        self._open.add(connection)
        if self._looking is None:
            self._look_later(asyncio.get_running_loop())
        return key

    def leave(self, connection: OpenConnection, key: str) -> None:
        """It is closed."""
        self._open.discard(connection)
        if connection.is_refused:
            _take_one(self._refused, key)
        self.uncount(connection, key)

    def uncount(self, connection: OpenConnection, key: str) -> None:
        """It counts in all, and no more for its address: something else limits it."""
        if connection.is_counted:
            connection.is_counted = False
            _take_one(self._of_address, key)

    def ask(self, host: str | None) -> "CountedRequest | None":
        """A request that came by way of a proxy, from such an address. None: there are too many of it."""
        key = address_key(host)
        if self._of_address[key] >= self.limits.per_address:
            return None
        self._of_address[key] += 1
        return CountedRequest(self._of_address, key)

    def _is_proxy(self, host: str | None) -> bool:
        if self._everybody:
            return True
        try:
            address = ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if address.version == 6 else None
        return any((mapped or address) in network for network in self._proxies)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        patience_s = min(self.limits.header_s, self.limits.send_s, REFUSED_S)
        self._looking = loop.call_later(min(1.0, patience_s / 4), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = None
        now = loop.time()
        for connection in list(self._open):
            connection.cut_off_if_late(now)
        if self._open:
            self._look_later(loop)


class CountedRequest:
    """A request that counts for its address until it is given back."""

    def __init__(self, counted: Counter[str], key: str) -> None:
        self._counted = counted
        self._key: str | None = key

    def release(self) -> None:
        """It counts no more; twice is as good as once."""
        if self._key is not None:
            _take_one(self._counted, self._key)
            self._key = None


class ConnectionMiddleware:
    """Around every request: its connection learns of it, and what is too much is refused or cut off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: OpenConnection | None = scope.get("state", {}).get(KEY)
        if scope["type"] != "http" or connection is None:
            await self._app(scope, receive, send)
            return
        connection.begin()
        try:
            await self._asked(connection, scope, receive, send)
        finally:
            connection.end()

    async def _asked(self, connection: OpenConnection, scope: Scope, receive: Receive, send: Send) -> None:
        registry, client = connection.registry, scope.get("client")
        counted = registry.ask(client[0] if client else None) if connection.is_proxy else None
        if connection.is_refused or (connection.is_proxy and counted is None):
            answer = error_response(Overloaded(hint="Close connections that you do not need, or ask again later."))
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return
        send_s = registry.limits.send_s
        scope[_UNCOUNT] = connection.uncount if counted is None else counted.release

        is_answered = False

        async def receiving() -> Message:
            message = await receive()
            connection.consumed()
            return message

        async def sending(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            try:
                async with asyncio.timeout(send_s):
                    await send(message)
            except TimeoutError:
                connection.cut_off()

        try:
            await self._app(scope, receiving, sending)
        except asyncio.CancelledError:  # the server stops, and has waited for this request for long enough
            if not is_answered:
                await error_response(Overloaded("The server stops.", hint=_STOPPING))(scope, receive, sending)
        finally:
            if counted is not None:
                counted.release()


def uncount(scope: Scope) -> None:
    """A request that goes on for long, and that something else limits, counts for its address no more."""
    if _UNCOUNT in scope:
        scope[_UNCOUNT]()


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _take_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
