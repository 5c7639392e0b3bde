"""What every answer says of itself, and by which names the server is asked at all."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import UsageError
from renderctl.server.errors import error_response

#: The status of a request for somebody else: 421 Misdirected Request.
_MISDIRECTED = 421
#: What programs ask that watch over the server, often by its bare address.
_OF_ANY_NAME = ("/healthz", "/readyz", "/metrics")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_API_HEADERS = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),)
#: A browser that has come by TLS once, comes by nothing else for two years.
_TLS_HEADERS = ((b"strict-transport-security", b"max-age=63072000"),)
_UNCACHED = ((b"cache-control", b"no-store"),)


class SecurityHeadersMiddleware:
    """Headers against misuse. What does not say for itself how it may be kept, is kept nowhere."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(name_of(each) for each in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = (*_HEADERS, *(_API_HEADERS if scope["path"].startswith("/api/") else ()))
        own += _TLS_HEADERS if scope["scheme"] == "https" else ()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                is_kept = any(name.lower() == b"cache-control" for name, _ in headers)
                message["headers"] = [*headers, *own, *(() if is_kept else _UNCACHED)]
            await send(message)

        if self._hosts and scope["path"] not in _OF_ANY_NAME and not self._is_ours(scope):
            hint = "serve.hosts of the server has the names by which it is asked."
            await error_response(UsageError("No server of that name is here.", hint=hint), status=_MISDIRECTED)(
                scope, receive, sending
            )
            return
        await self._app(scope, receive, sending)

    def _is_ours(self, scope: Scope) -> bool:
        asked = [value for name, value in scope["headers"] if name == b"host"]
        return len(asked) == 1 and name_of(asked[0].decode("latin-1")) in self._hosts


def name_of(host: str) -> str:
    """A name or address as it is compared: without a port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")
