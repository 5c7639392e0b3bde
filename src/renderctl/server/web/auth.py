"""Logging in and out, and becoming a user by an invitation."""

import hmac
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import anyio.to_thread
from fastapi import Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from renderctl.core.errors import NotAllowed, RenderctlError, TooLarge
from renderctl.farm.people.sessions import Proof
from renderctl.server.authentication import (
    Principal,
    clear_session_cookie,
    client_address,
    current_session_principal,
    session_cookie,
    set_session_cookie,
)
from renderctl.server.device_cookie import device_cookie, set_device_cookie
from renderctl.server.errors import redact_error, status_of
from renderctl.server.web.context import PageContext, new_router, render_page
from renderctl.wiring.server_parts import ServerParts

router = new_router()
#: Fields of a form: each camera of a scene has one.
_MOST_FIELDS = 5000
Next = Annotated[str, Query(max_length=2000)]


async def parse_form(request: Request) -> dict[str, str]:
    """What a form has sent. Raises NotAllowed for one that stood on another site."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("This form was sent from another site.")
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise TooLarge(f"A form has {_MOST_FIELDS} fields at most.") from error


Form = Annotated[dict[str, str], Depends(parse_form)]


@router.get("/login")
def login_page(request: Request, next: Next = "/") -> Response:
    """Where one says who one is."""
    return render_page(request, "login", next=next, name="")


@router.post("/login")
def login(request: Request, said: Form) -> Response:
    """Open a session by a password."""
    parts: ServerParts = request.app.state.parts
    place, address = _local(said.get("next", "/")), client_address(request)
    try:
        proof = Proof(code=said.get("otp"), device=device_cookie(request), keeps_device=True)
        name, password = said.get("name", ""), said.get("password", "")
        found = parts.authentication.log_in(name, password, address=address, proof=proof)
    except RenderctlError as error:
        return render_page(
            request,
            "login",
            status=status_of(type(error)),
            error=redact_error(error, request),
            next=place,
            name=said.get("name", ""),
        )
    response = RedirectResponse(place, 303)
    set_session_cookie(request, response, found.secret, found.lasts_s)
    set_device_cookie(request, response, found.device)
    return response


@router.get("/register")
def register_page(request: Request) -> Response:
    """Where an invitation leads. Its code stands behind the `#` of the address, which is never sent here."""
    return render_page(request, "register", code="")


@router.post("/register")
def register(request: Request, said: Form) -> Response:
    """Become a user by the code of an invitation, and log in."""
    parts: ServerParts = request.app.state.parts
    address = client_address(request)
    name, password = said.get("name", ""), said.get("password", "")
    try:
        found = parts.authentication.sign_up(said.get("code", ""), name, password, address=address)
    except RenderctlError as error:
        return render_page(
            request,
            "register",
            status=status_of(type(error)),
            error=redact_error(error, request),
            code=said.get("code", ""),
        )
    response = RedirectResponse("/", 303)
    set_session_cookie(request, response, found.secret, found.lasts_s)
    set_device_cookie(request, response, found.device)
    return response


SessionPrincipal = Annotated[Principal, Depends(current_session_principal)]


async def check_csrf(said: Form, who: SessionPrincipal) -> dict[str, str]:
    """A form that brings along what only a page of the same session knows. Raises NotAllowed."""
    if not hmac.compare_digest(said.get("csrf", "").encode(), (who.csrf or "").encode()):
        raise NotAllowed("This form is too old, or was not sent from a page of this farm.", hint="Load it again.")
    return said


CheckedForm = Annotated[dict[str, str], Depends(check_csrf)]


async def _sender(request: Request, who: SessionPrincipal, _said: CheckedForm) -> PageContext:
    return PageContext(request, who, request.app.state.commands.acting(who.actor))


#: Who has sent such a form: what a route takes beside it.
FormPage = Annotated[PageContext, Depends(_sender)]


@router.post("/logout")
async def logout(request: Request, who: SessionPrincipal, _said: CheckedForm) -> Response:
    """End the session."""
    parts: ServerParts = request.app.state.parts
    secret = session_cookie(request) or ""
    await anyio.to_thread.run_sync(lambda: parts.authentication.log_out(who.actor, secret))
    request.app.state.authenticator.clear_cache()
    response = RedirectResponse("/login", 303)
    clear_session_cookie(request, response)
    return response


def _local(address: str) -> str:
    """An address on this farm, and no other site's: browsers leave out control characters, and turn `\\` into `/`."""
    plain = address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
