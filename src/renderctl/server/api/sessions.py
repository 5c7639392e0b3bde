"""Sessions of browsers: log in, log out, register, list, end."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.actors import Actor
from renderctl.core.people import WebSession
from renderctl.farm.people.sessions import LoggedIn, Proof
from renderctl.server.api import new_router
from renderctl.server.api.people import Otp, Password, after_permission_change
from renderctl.server.authentication import (
    Authenticator,
    Commands,
    Principal,
    clear_session_cookie,
    client_address,
    current_principal,
    session_cookie,
    set_session_cookie,
)
from renderctl.server.device_cookie import device_cookie, set_device_cookie
from renderctl.server.request_models import Name
from renderctl.server.response_models import SessionDocument
from renderctl.server.responses import json_response
from renderctl.wiring.server_parts import ServerParts

router = new_router("sessions")
UserQuery = Annotated[str | None, Query(description="Only of this user.", max_length=64)]


class _NamedBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    password: Password


class LoginBody(_NamedBody):
    otp: Otp | None = None


class RegisterBody(_NamedBody):
    code: Annotated[str, Field(description="The code of an invitation.", max_length=255)]


@router.get("/whoami", response_model=Actor)
def whoami(verbs: Commands) -> Response:
    """Show one's own user, role and projects."""
    return json_response(verbs.whoami())


@router.get("/session", response_model=SessionDocument)
def show_session(principal: Annotated[Principal, Depends(current_principal)]) -> Response:
    """Show the session, with the CSRF token that writes need."""
    return json_response(_session(principal.actor, principal.csrf))


@router.post("/session", response_model=SessionDocument, status_code=201)
def open_session(request: Request, body: LoginBody) -> Response:
    """Log in: open a session, and set its cookie."""
    parts: ServerParts = request.app.state.parts
    proof = Proof(code=body.otp, device=device_cookie(request), keeps_device=True)
    address = client_address(request)
    return _opened(request, parts.authentication.log_in(body.name, body.password, address=address, proof=proof))


@router.post("/register", response_model=SessionDocument, status_code=201)
def register(request: Request, body: RegisterBody) -> Response:
    """Register with the code of an invitation, and log in."""
    parts: ServerParts = request.app.state.parts
    address = client_address(request)
    return _opened(request, parts.authentication.sign_up(body.code, body.name, body.password, address=address))


@router.delete("/session", status_code=204)
def end_session(
    request: Request,
    principal: Annotated[Principal, Depends(current_principal)],
) -> Response:
    """Log out."""
    authenticator: Authenticator = request.app.state.authenticator
    parts: ServerParts = request.app.state.parts
    secret = session_cookie(request)
    if secret is not None:
        parts.authentication.log_out(principal.actor, secret)
    authenticator.clear_cache()
    response = Response(status_code=204)
    clear_session_cookie(request, response)
    return response


@router.get("/sessions", response_model=list[WebSession])
def list_sessions(verbs: Commands, user: UserQuery = None) -> Response:
    """List the sessions you may see, newest first."""
    return json_response(verbs.list_sessions(user))


@router.delete("/sessions", response_model=list[WebSession])
def end_sessions(request: Request, verbs: Commands, user: UserQuery = None) -> Response:
    """End all sessions of oneself or another user, but for that of this request."""
    return after_permission_change(request, verbs.end_sessions(user))


@router.delete("/sessions/{session}", response_model=WebSession)
def end_session_by_id(request: Request, verbs: Commands, session: Annotated[str, Path(max_length=20)]) -> Response:
    """End a session."""
    return after_permission_change(request, verbs.end_session(session))


def _opened(request: Request, logged_in: LoggedIn) -> Response:
    response = json_response(_session(logged_in.actor, logged_in.csrf), 201)
    set_session_cookie(request, response, logged_in.secret, logged_in.lasts_s)
    set_device_cookie(request, response, logged_in.device)
    return response


def _session(actor: Actor, csrf: str | None) -> dict[str, object]:
    return {"name": actor.name, "role": actor.role, "projects": sorted(actor.projects), "csrf": csrf}
