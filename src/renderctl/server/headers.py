"""Security headers of every response, and the host names that the server answers to."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl.core.errors import UsageError
from renderctl.server.errors import error_response

#: 421 Misdirected Request: the request is for another host.
_MISDIRECTED = 421
#: Paths of monitoring, which often asks by the bare address: any host name will do.
_ANY_HOST_PATHS = ("/healthz", "/readyz", "/metrics")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_API_HEADERS = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),)
#: For two years a browser that has used TLS once uses nothing else.
_TLS_HEADERS = ((b"strict-transport-security", b"max-age=63072000"),)
_NO_STORE = ((b"cache-control", b"no-store"),)


class SecurityHeadersMiddleware:
    """Adds security headers; a response without `Cache-Control` is not cached anywhere."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host_name(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = (*_HEADERS, *(_API_HEADERS if scope["path"].startswith("/api/") else ()))
        own += _TLS_HEADERS if scope["scheme"] == "https" else ()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                has_cache_control = any(name.lower() == b"cache-control" for name, _ in headers)
                message["headers"] = [*headers, *own, *(() if has_cache_control else _NO_STORE)]
            await send(message)

        if self._hosts and scope["path"] not in _ANY_HOST_PATHS and not self._is_own_host(scope):
            hint = "serve.hosts of the server lists its names."
            await error_response(
                UsageError("This server does not answer to that host name.", hint=hint), status=_MISDIRECTED
            )(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _is_own_host(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and host_name(hosts[0].decode("latin-1")) in self._hosts


def host_name(host: str) -> str:
    """The host name or address without its port, in lower case, to be compared."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")
