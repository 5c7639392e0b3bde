"""Who asks: whoever shows a token, or has logged in from a browser. Everybody else is nobody."""

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
#: Seconds for which somebody is still let in whose token was revoked through another process.
FRESH_S = 2.0
_MOST_KNOWN = 10_000
_READS = ("GET", "HEAD", "OPTIONS")

bearer_token = HTTPBearer(auto_error=False, description="A token: `renderctl tokens create`.")
_cookie = APIKeyCookie(
    name=COOKIE, auto_error=False, description=f"A session, for browsers; writing takes {CSRF_HEADER}, too."
)


@dataclass(frozen=True)
class Principal:
    """Who asks, and what his browser has to bring along when he writes."""

    actor: Actor
    csrf: str | None = None


class Authenticator:
    """Lets people in; remembers for a moment whom it has let in."""

    def __init__(self, parts: ServerParts) -> None:
        self._authentication = parts.authentication
        self._clock = parts.clock
        self._known: dict[tuple[Via, str, str | None], tuple[Principal, float]] = {}
        self._lock = Lock()

    async def admit(self, kind: Via, secret: str, address: str | None, *, fresh: bool = False) -> Principal:
        """Who shows this token or session; `fresh`: not as it was a moment ago. Raises TokenRefused."""
        key = kind, sha256(secret.encode("utf-8", "surrogatepass")).hexdigest(), address  # no secret is kept
        now = self._clock.monotonic()
        found = self._known.get(key)
        if found is not None and now < found[1] and not fresh:
            return found[0]
        ask: Callable[[], Principal] = partial(self._asked, kind, secret, address)
        admitted = await anyio.to_thread.run_sync(ask)
        with self._lock:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = admitted, now + FRESH_S
        return admitted

    def forget(self) -> None:
        """Somebody's rights have changed: ask about everybody again."""
        with self._lock:
            self._known.clear()

    def _asked(self, kind: Via, secret: str, address: str | None) -> Principal:
        if kind is Via.TOKEN:
            return Principal(self._authentication.actor_of_token(secret, address=address))
        return Principal(*self._authentication.actor_of_session(secret, address=address))


def address_of(request: Request) -> str | None:
    """Where a request comes from; behind a proxy that is believed, what that says."""
    return request.client.host if request.client else None


async def authenticate(request: Request, *, fresh: bool = False) -> Principal:
    """Who asks, by the headers alone: the routes call it before anything of the body is read.

    Raises LoginNeeded, TokenRefused, and NotAllowed for a write that a browser may be tricked into.
    """
    bearer = await bearer_token(request)
    if bearer is not None:
        doors: Authenticator = request.app.state.doors
        found = await doors.admit(Via.TOKEN, bearer.credentials, address_of(request), fresh=fresh)
    else:
        found = await authenticate_session(request, fresh=fresh)
        shown = request.headers.get(CSRF_HEADER, "")
        if request.method not in _READS and not hmac.compare_digest(shown.encode(), (found.csrf or "").encode()):
            hint = "GET /api/v1/session tells its value."
            raise NotAllowed(f"The header {CSRF_HEADER} is missing or wrong.", hint=hint)
    request.state.admitted = found
    return found


async def authenticate_session(request: Request, *, fresh: bool = False) -> Principal:
    """Who has logged in from this browser. What its form brings along is for the form to check."""
    secret = session_of(request)
    if secret is None:
        raise LoginNeeded(hint="Show a token (Authorization: Bearer TOKEN), or log in.")
    doors: Authenticator = request.app.state.doors
    found = await doors.admit(Via.SESSION, secret, address_of(request), fresh=fresh)
    request.state.admitted_session = found
    return found


async def admitted(
    request: Request,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
    _session: Annotated[str | None, Security(_cookie)] = None,
) -> Principal:
    """Who asks, as the route has found out. Raises what `authenticate` raises."""
    known: Principal | None = getattr(request.state, "admitted", None)
    return known if known is not None else await authenticate(request)


async def admitted_session(request: Request) -> Principal:
    """Who has logged in from this browser, as the route has found out. Raises what `authenticate_session` raises."""
    known: Principal | None = getattr(request.state, "admitted_session", None)
    return known if known is not None else await authenticate_session(request)


#: What a route depends on that has to know who asks, and how it is found out before the body is read.
AUTHENTICATORS: Mapping[Any, Callable[[Request], Awaitable[Principal]]] = {
    admitted: authenticate,
    admitted_session: authenticate_session,
}


async def bound(request: Request, who: Annotated[Principal, Depends(admitted)]) -> LocalCommands:
    """The verbs of the farm, bound to whoever asks."""
    connection: LocalCommands = request.app.state.connection
    return connection.acting(who.actor)


#: What a route takes that needs to know who asks: the verbs, bound to him.
Commands = Annotated[LocalCommands, Depends(bound)]


async def bound_to_measure(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
    session: Annotated[str | None, Security(_cookie)] = None,
) -> LocalCommands:
    """As `bound`; the token in the settings is good for this, and for nothing else."""
    connection: LocalCommands = request.app.state.connection
    expected = connection.settings.serve.metrics_token
    if bearer and expected and hmac.compare_digest(bearer.credentials.encode(), expected.encode()):
        who = Actor("metrics", role=Role.OPERATOR, via=Via.TOKEN, address=address_of(request), scope=Scope.READ)
        return connection.acting(who)
    return await bound(request, await admitted(request, bearer, session))


MetricsCommands = Annotated[LocalCommands, Depends(bound_to_measure)]


def session_of(request: Request) -> str | None:
    """The session that a browser shows."""
    return request.cookies.get(_cookie_name(request))


def set_cookie(request: Request, response: Response, secret: str, lasts_s: float) -> None:
    """Have the browser keep a session: out of reach of scripts, and of other sites."""
    name, most = _cookie_name(request), int(lasts_s)
    response.set_cookie(name, secret, max_age=most, httponly=True, samesite="strict", secure=_is_tls(request), path="/")


def clear_cookie(request: Request, response: Response) -> None:
    """Have the browser forget its session."""
    name, secure = _cookie_name(request), _is_tls(request)
    response.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=secure)


def _cookie_name(request: Request) -> str:
    """Behind TLS one that no other host of the domain can set, and no page that came without it."""
    return f"__Host-{COOKIE}" if _is_tls(request) else COOKIE


def is_unencrypted(request: Request) -> bool:
    """Whether what is sent can be read on the way: by plain HTTP, from another machine."""
    return not _is_tls(request) and not is_loopback(address_of(request) or "")


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
