"""The context of a page: its user, what they may do, and pages for errors."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from renderctl import __version__
from renderctl.core.errors import InvalidInput, LoginNeeded, NotFound, RenderctlError, TokenRefused
from renderctl.core.job_status import JobStatus
from renderctl.core.permissions import FARM, Subject, Verdict, verdict
from renderctl.server.authentication import Principal, authenticate_session, current_principal, is_unencrypted
from renderctl.server.errors import error_response, redact_error, status_of
from renderctl.server.routing import AuthenticatedRoute
from renderctl.server.web.templating import render
from renderctl.wiring import LocalCommands

#: Only files of this server: no inline scripts or styles, nothing from other sites, no frames.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class PageContext:
    """A request for a page, its user, and the verbs as that user."""

    request: Request
    principal: Principal
    verbs: LocalCommands

    def show(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """The page that the template renders with the values."""
        return render_page(self.request, template, status=status, context=self, **values)

    def can(self, action: str, subject: Subject = FARM) -> bool:
        """Whether the user may do it: pages do not offer what they may not do."""
        return verdict(self.principal.actor, action, subject) is Verdict.ALLOWED

    def can_job(self, action: str, document: JobStatus) -> bool:
        """Whether the user may do it with the job of a document."""
        job = Subject.in_project("job", document["id"], document["project"], document["owner"])
        return self.can(action, job)

    @property
    def can_submit(self) -> bool:
        """Whether the user may submit to any of their projects."""
        names = {*self.principal.actor.projects, self.principal.actor.default_project}
        return any(self.can_submit_to(name) for name in names)

    def can_submit_to(self, project: str) -> bool:
        """Whether the user may submit jobs to the project."""
        return self.can("job.submit", Subject.in_project("project", project, project))


async def _page_context(request: Request, principal: Annotated[Principal, Depends(current_principal)]) -> PageContext:
    return PageContext(request, principal, request.app.state.commands.acting(principal.actor))


#: The parameter of the route of a page.
CurrentPage = Annotated[PageContext, Depends(_page_context)]


def render_page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for the user of the `context`; without one, for anybody."""
    now = request.app.state.parts.clock.now()
    defaults: dict[str, Any] = {
        "context": None,
        "error": None,
        "version": __version__,
        "path": request.url.path,
        "now": now,
    }
    defaults["in_the_clear"] = is_unencrypted(request)
    return HTMLResponse(render(template, **defaults | values), status)


def _with_headers(response: Response) -> Response:
    """Add the headers of pages, which keep out scripts and frames of other sites."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


class _Page(AuthenticatedRoute):
    """Routes of pages: errors are pages, and users who are not logged in are led to the login page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_pages(request: Request) -> Response:
            try:
                response = await handle(request)
            except (LoginNeeded, TokenRefused):
                response = _to_login(request)
            except RequestValidationError:
                response = await _error_page(request, InvalidInput("The address or the form is not valid."))
            except RenderctlError as error:
                response = await _error_page(request, redact_error(error, request))
            return _with_headers(response)

        return handle_with_pages


def new_router() -> APIRouter:
    """A router for pages."""
    return APIRouter(route_class=_Page, include_in_schema=False)


def _to_login(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = f"?next={quote(back, safe='/')}" if request.method == "GET" and back != "/" else ""
    return RedirectResponse(f"/login{query}", 303)


async def not_found(request: Request, error: Exception) -> Response:
    """The response for an unknown address: for a browser a page."""
    assert isinstance(error, HTTPException)
    is_page = not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
    missing = NotFound("There is no such address.")
    return _with_headers(await _error_page(request, missing)) if is_page else error_response(missing)


async def _error_page(request: Request, error: RenderctlError) -> Response:
    """A page that shows the error, with the navigation of the user where somebody is logged in."""
    try:
        context = await _page_context(request, await authenticate_session(request))
    except RenderctlError:
        return render_page(request, "error", status=status_of(type(error)), error=error)
    return context.show("error", status=status_of(type(error)), error=error)
