"""Authentication of requests: by a token, or by the session of a browser."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import Annotated, Any

import anyio.to_thread
from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from renderctl.core.actors import Actor, Role, Scope, Via
from renderctl.core.errors import LoginNeeded, NotAllowed
from renderctl.core.settings.groups import is_loopback
from renderctl.wiring import LocalCommands
from renderctl.wiring.server_parts import ServerParts

COOKIE = "renderctl_session"
CSRF_HEADER = "X-CSRF-Token"
#: Seconds for which a valid credential is not checked again; one that another process has revoked works for as long.
CACHE_S = 2.0
_MAX_CACHED = 10_000
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

bearer_token = HTTPBearer(auto_error=False, description="A token: `renderctl tokens create`.")
_cookie = APIKeyCookie(
    name=COOKIE, auto_error=False, description=f"A session, for browsers; writing takes {CSRF_HEADER}, too."
)


@dataclass(frozen=True)
class Principal:
    """An authenticated user, and the CSRF token that their browser sends with each write (None: they use a token)."""

    actor: Actor
    csrf: str | None = None


class Authenticator:
    """Checks tokens and sessions, and caches valid ones for CACHE_S seconds."""

    def __init__(self, parts: ServerParts) -> None:
        self._authentication = parts.authentication
        self._clock = parts.clock
        self._cached: dict[tuple[Via, str, str | None], tuple[Principal, float]] = {}
        self._lock = Lock()

    async def authenticate(self, kind: Via, secret: str, address: str | None, *, fresh: bool = False) -> Principal:
        """The user of a token or a session; `fresh`: not from the cache. Raises TokenRefused, DatabaseUnavailable."""
        key = kind, sha256(secret.encode("utf-8", "surrogatepass")).hexdigest(), address  # no secret is kept
        now = self._clock.monotonic()
        cached = self._cached.get(key)
        if cached is not None and now < cached[1] and not fresh:
            return cached[0]
        check: Callable[[], Principal] = partial(self._check, kind, secret, address)
        principal = await anyio.to_thread.run_sync(check)
        with self._lock:
            if len(self._cached) >= _MAX_CACHED:
                self._cached.clear()
            self._cached[key] = principal, now + CACHE_S
        return principal

    def clear_cache(self) -> None:
        """Empty the cache: the permissions of some user have changed."""
        with self._lock:
            self._cached.clear()

    def _check(self, kind: Via, secret: str, address: str | None) -> Principal:
        if kind is Via.TOKEN:
            return Principal(self._authentication.actor_of_token(secret, address=address))
        return Principal(*self._authentication.actor_of_session(secret, address=address))


def client_address(request: Request) -> str | None:
    """The address of the client: behind a trusted proxy, the one that the proxy reports."""
    return request.client.host if request.client else None


async def authenticate(request: Request, *, fresh: bool = False) -> Principal:
    """The user of a request, by its headers alone: routes call it before they read the body.

    Raises LoginNeeded, TokenRefused, and NotAllowed for a write of a browser without its CSRF token.
    """
    bearer = await bearer_token(request)
    if bearer is not None:
        authenticator: Authenticator = request.app.state.authenticator
        principal = await authenticator.authenticate(
            Via.TOKEN, bearer.credentials, client_address(request), fresh=fresh
        )
    else:
        principal = await authenticate_session(request, fresh=fresh)
        csrf = request.headers.get(CSRF_HEADER, "")
        if request.method not in _SAFE_METHODS and not hmac.compare_digest(
            csrf.encode(), (principal.csrf or "").encode()
        ):
            hint = "GET /api/v1/session returns its value."
            raise NotAllowed(f"The header {CSRF_HEADER} is missing or wrong.", hint=hint)
    request.state.principal = principal
    return principal


async def authenticate_session(request: Request, *, fresh: bool = False) -> Principal:
    """The user of a browser's session. Its CSRF token is not checked: a form does that itself."""
    secret = session_cookie(request)
    if secret is None:
        raise LoginNeeded(hint="Send a token (Authorization: Bearer TOKEN), or log in.")
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.authenticate(Via.SESSION, secret, client_address(request), fresh=fresh)
    request.state.session_principal = principal
    return principal


async def reauthenticate(request: Request) -> Principal:
    """Authenticate a request again, past the cache: for long responses. Raises what `authenticate` raises."""
    return await authenticate(request, fresh=True)


async def current_principal(
    request: Request,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
    _session: Annotated[str | None, Security(_cookie)] = None,
) -> Principal:
    """The user of the request, as its route has authenticated them. Raises what `authenticate` raises."""
    known: Principal | None = getattr(request.state, "principal", None)
    return known if known is not None else await authenticate(request)


async def current_session_principal(request: Request) -> Principal:
    """The user of the browser, as the route has authenticated them. Raises what `authenticate_session` raises."""
    known: Principal | None = getattr(request.state, "session_principal", None)
    return known if known is not None else await authenticate_session(request)


#: For each dependency that names the user: how a route authenticates them before it reads the body.
AUTHENTICATORS: Mapping[Any, Callable[[Request], Awaitable[Principal]]] = {
    current_principal: authenticate,
    current_session_principal: authenticate_session,
}


async def bound_commands(
    request: Request, principal: Annotated[Principal, Depends(current_principal)]
) -> LocalCommands:
    """The verbs of the farm, bound to the user of the request."""
    farm_commands: LocalCommands = request.app.state.commands
    return farm_commands.acting(principal.actor)


#: The parameter of a route that needs a user: the verbs, bound to them.
Commands = Annotated[LocalCommands, Depends(bound_commands)]


async def metrics_commands(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
    session: Annotated[str | None, Security(_cookie)] = None,
) -> LocalCommands:
    """As `bound_commands`; `serve.metrics_token` of the settings is accepted, too, here alone."""
    farm_commands: LocalCommands = request.app.state.commands
    expected = farm_commands.settings.serve.metrics_token
    if bearer and expected and hmac.compare_digest(bearer.credentials.encode(), expected.encode()):
        address = client_address(request)
        actor = Actor("metrics", role=Role.OPERATOR, via=Via.TOKEN, address=address, scope=Scope.READ)
        return farm_commands.acting(actor)
    return await bound_commands(request, await current_principal(request, bearer, session))


MetricsCommands = Annotated[LocalCommands, Depends(metrics_commands)]


def session_cookie(request: Request) -> str | None:
    """The secret of the session that a browser sends; None: it sends none."""
    return request.cookies.get(_cookie_name(request))


def set_session_cookie(request: Request, response: Response, secret: str, lasts_s: float) -> None:
    """Set the cookie of a session for `lasts_s` seconds: HttpOnly and SameSite=Strict."""
    name, max_age = _cookie_name(request), int(lasts_s)
    secure = _is_tls(request)
    response.set_cookie(name, secret, max_age=max_age, httponly=True, samesite="strict", secure=secure, path="/")


def clear_session_cookie(request: Request, response: Response) -> None:
    """Delete the cookie of the session."""
    name, secure = _cookie_name(request), _is_tls(request)
    response.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=secure)


def _cookie_name(request: Request) -> str:
    """With TLS a `__Host-` cookie: no other host of the domain can set it, and no page without TLS."""
    return f"__Host-{COOKIE}" if _is_tls(request) else COOKIE


def is_unencrypted(request: Request) -> bool:
    """Whether the request can be read on the way: plain HTTP, from another machine."""
    return not _is_tls(request) and not is_loopback(client_address(request) or "")


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
