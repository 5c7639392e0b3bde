"""Log in, log out, and register with an invitation."""

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
#: Most fields of a form: each camera of a scene has one.
_MAX_FIELDS = 5000
Next = Annotated[str, Query(max_length=2000)]


async def parse_form(request: Request) -> dict[str, str]:
    """The fields of a sent form. Raises NotAllowed for a form of another site."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("This form was sent from another site.")
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise TooLarge(f"A form has {_MAX_FIELDS} fields at most.") from error


Form = Annotated[dict[str, str], Depends(parse_form)]


@router.get("/login")
def login_page(request: Request, next: Next = "/") -> Response:
    """The page with the form to log in."""
    return render_page(request, "login", next=next, name="")


@router.post("/login")
def login(request: Request, form: Form) -> Response:
    """Log in with a password."""
    parts: ServerParts = request.app.state.parts
    target, address = _local_path(form.get("next", "/")), client_address(request)
    try:
        proof = Proof(code=form.get("otp"), device=device_cookie(request), keeps_device=True)
        name, password = form.get("name", ""), form.get("password", "")
        logged_in = parts.authentication.log_in(name, password, address=address, proof=proof)
    except RenderctlError as error:
        return render_page(
            request,
            "login",
            status=status_of(type(error)),
            error=redact_error(error, request),
            next=target,
            name=form.get("name", ""),
        )
    response = RedirectResponse(target, 303)
    set_session_cookie(request, response, logged_in.secret, logged_in.lasts_s)
    set_device_cookie(request, response, logged_in.device)
    return response


@router.get("/register")
def register_page(request: Request) -> Response:
    """The page of an invitation. Its code is behind the `#` of the address, which browsers never send."""
    return render_page(request, "register", code="")


@router.post("/register")
def register(request: Request, form: Form) -> Response:
    """Register with the code of an invitation, and log in."""
    parts: ServerParts = request.app.state.parts
    address = client_address(request)
    name, password = form.get("name", ""), form.get("password", "")
    try:
        logged_in = parts.authentication.sign_up(form.get("code", ""), name, password, address=address)
    except RenderctlError as error:
        return render_page(
            request,
            "register",
            status=status_of(type(error)),
            error=redact_error(error, request),
            code=form.get("code", ""),
        )
    response = RedirectResponse("/", 303)
    set_session_cookie(request, response, logged_in.secret, logged_in.lasts_s)
    set_device_cookie(request, response, logged_in.device)
    return response


SessionPrincipal = Annotated[Principal, Depends(current_session_principal)]


async def check_csrf(form: Form, principal: SessionPrincipal) -> dict[str, str]:
    """The fields of a form that has the CSRF token of the session. Raises NotAllowed."""
    if not hmac.compare_digest(form.get("csrf", "").encode(), (principal.csrf or "").encode()):
        raise NotAllowed("This form is outdated, or was not sent from a page of this farm.", hint="Reload the page.")
    return form


CheckedForm = Annotated[dict[str, str], Depends(check_csrf)]


async def _form_page(request: Request, principal: SessionPrincipal, _form: CheckedForm) -> PageContext:
    return PageContext(request, principal, request.app.state.commands.acting(principal.actor))


#: The context of a checked form.
FormPage = Annotated[PageContext, Depends(_form_page)]


@router.post("/logout")
async def logout(request: Request, principal: SessionPrincipal, _form: CheckedForm) -> Response:
    """Log out: end the session."""
    parts: ServerParts = request.app.state.parts
    secret = session_cookie(request) or ""
    await anyio.to_thread.run_sync(lambda: parts.authentication.log_out(principal.actor, secret))
    request.app.state.authenticator.clear_cache()
    response = RedirectResponse("/login", 303)
    clear_session_cookie(request, response)
    return response


def _local_path(address: str) -> str:
    """The address, if it is a path of this site, else `/`: browsers drop control characters, and read `\\` as `/`."""
    is_plain = address.isprintable() and "\\" not in address
    return address if is_plain and address.startswith("/") and not address.startswith("//") else "/"
