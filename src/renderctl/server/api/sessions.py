"""Who asks: shown to himself, logged in, logged out, registered; and from which browsers somebody is logged in."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.actors import Actor
from renderctl.core.people import WebSession
from renderctl.farm.people.sessions import LoggedIn, Proof
from renderctl.server.api import new_router
from renderctl.server.api.people import Otp, Password, changed
from renderctl.server.authentication import (
    Authenticator,
    Commands,
    Principal,
    address_of,
    admitted,
    clear_cookie,
    session_of,
    set_cookie,
)
from renderctl.server.device_cookie import device_of, keep_device
from renderctl.server.request_models import Name
from renderctl.server.response_models import SessionDocument
from renderctl.server.responses import json_response
from renderctl.wiring.server_parts import ServerParts

router = new_router("sessions")
UserQuery = Annotated[str | None, Query(description="Whose.", max_length=64)]


class _NamedBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    password: Password


class LoginBody(_NamedBody):
    otp: Otp | None = None


class RegisterBody(_NamedBody):
    code: Annotated[str, Field(description="Of an invitation.", max_length=255)]


@router.get("/whoami", response_model=Actor)
def whoami(verbs: Commands) -> Response:
    """Who one is to the farm."""
    return json_response(verbs.whoami())


@router.get("/session", response_model=SessionDocument)
def session(who: Annotated[Principal, Depends(admitted)]) -> Response:
    """Who is logged in, and what his browser has to show when it writes."""
    return json_response(_told(who.actor, who.csrf))


@router.post("/session", response_model=SessionDocument, status_code=201)
def open_session(request: Request, body: LoginBody) -> Response:
    """Log in: the browser keeps a session."""
    parts: ServerParts = request.app.state.parts
    proof = Proof(code=body.otp, device=device_of(request), keeps_device=True)
    address = address_of(request)
    return _opened(request, parts.authentication.log_in(body.name, body.password, address=address, proof=proof))


@router.post("/register", response_model=SessionDocument, status_code=201)
def registered(request: Request, body: RegisterBody) -> Response:
    """Become a user by an invitation, and log in."""
    parts: ServerParts = request.app.state.parts
    address = address_of(request)
    return _opened(request, parts.authentication.sign_up(body.code, body.name, body.password, address=address))


@router.delete("/session", status_code=204)
def end_session(
    request: Request,
    who: Annotated[Principal, Depends(admitted)],
) -> Response:
    """Log out."""
    doors: Authenticator = request.app.state.doors
    parts: ServerParts = request.app.state.parts
    secret = session_of(request)
    if secret is not None:
        parts.authentication.log_out(who.actor, secret)
    doors.forget()
    done = Response(status_code=204)
    clear_cookie(request, done)
    return done


@router.get("/sessions", response_model=list[WebSession])
def list_sessions(verbs: Commands, user: UserQuery = None) -> Response:
    """List the log-ins from browsers that one may see, the newest first."""
    return json_response(verbs.list_sessions(user))


@router.delete("/sessions", response_model=list[WebSession])
def end_sessions(request: Request, verbs: Commands, user: UserQuery = None) -> Response:
    """End all log-ins from browsers of oneself, or of another user, but for the one that asks."""
    return changed(request, verbs.end_sessions(user))


@router.delete("/sessions/{session}", response_model=WebSession)
def end_one(request: Request, verbs: Commands, session: Annotated[str, Path(max_length=20)]) -> Response:
    """End a log-in from a browser: it is let in no more."""
    return changed(request, verbs.end_session(session))


def _opened(request: Request, logged_in: LoggedIn) -> Response:
    done = json_response(_told(logged_in.actor, logged_in.csrf), 201)
    set_cookie(request, done, logged_in.secret, logged_in.lasts_s)
    keep_device(request, done, logged_in.device)
    return done


def _told(actor: Actor, csrf: str | None) -> dict[str, object]:
    return {"name": actor.name, "role": actor.role, "projects": sorted(actor.projects), "csrf": csrf}
