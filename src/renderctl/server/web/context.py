"""Who looks at a page: what he may do there, and what he gets when something is wrong."""

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
from renderctl.server.authentication import Principal, admitted, authenticate_session, is_unencrypted
from renderctl.server.errors import error_response, for_others, status_of
from renderctl.server.routing import AuthenticatedRoute
from renderctl.server.web.templating import rendered
from renderctl.wiring import LocalCommands

#: Nothing but what the farm itself serves: no script or style in a page, nothing from elsewhere, no frame around it.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class PageContext:
    """Somebody at a page."""

    request: Request
    who: Principal
    verbs: LocalCommands

    def show(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """The page that a template makes of the values."""
        return shown(self.request, template, status=status, visit=self, **values)

    def may(self, action: str, subject: Subject = FARM) -> bool:
        """Whether he may do it: what he may not do is not offered."""
        return verdict(self.who.actor, action, subject) is Verdict.ALLOWED

    def may_job(self, action: str, document: JobStatus) -> bool:
        """Whether he may do it with the job of a document."""
        job = Subject.in_project("job", document["id"], document["project"], document["owner"])
        return self.may(action, job)

    @property
    def may_submit(self) -> bool:
        """Whether there is a project of his that he may submit to."""
        names = {*self.who.actor.projects, self.who.actor.default_project}
        return any(self.may_submit_to(each) for each in names)

    def may_submit_to(self, project: str) -> bool:
        """Whether he may submit jobs to the project."""
        return self.may("job.submit", Subject.in_project("project", project, project))


async def _visit(request: Request, who: Annotated[Principal, Depends(admitted)]) -> PageContext:
    return PageContext(request, who, request.app.state.connection.acting(who.actor))


#: What the route of a page takes.
CurrentPage = Annotated[PageContext, Depends(_visit)]


def shown(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, for somebody or (`visit` None) for anybody."""
    now = request.app.state.parts.clock.now()
    given = {"visit": None, "error": None, "version": __version__, "path": request.url.path, "now": now}
    given["in_the_clear"] = is_unencrypted(request)
    return HTMLResponse(rendered(template, **given | values), status)


def _sent(response: Response) -> Response:
    """A page as it is sent, with what keeps scripts and frames of others out."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


class _Page(AuthenticatedRoute):
    """What goes wrong is told on a page, and who is not logged in is asked to be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handling(request: Request) -> Response:
            try:
                response = await handle(request)
            except (LoginNeeded, TokenRefused):
                response = _to_login(request)
            except RequestValidationError:
                response = await _told(request, InvalidInput("The address or the form is not valid."))
            except RenderctlError as error:
                response = await _told(request, for_others(error, request))
            return _sent(response)

        return handling


def new_router() -> APIRouter:
    """A router for pages."""
    return APIRouter(route_class=_Page, include_in_schema=False)


def _to_login(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asked = f"?next={quote(back, safe='/')}" if request.method == "GET" and back != "/" else ""
    return RedirectResponse(f"/login{asked}", 303)


async def nowhere(request: Request, error: Exception) -> Response:
    """What is answered at an address that there is not: to a browser a page."""
    assert isinstance(error, HTTPException)
    is_page = not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
    lost = NotFound("There is no such address.")
    return _sent(await _told(request, lost)) if is_page else error_response(lost)


async def _told(request: Request, error: RenderctlError) -> Response:
    """The error on a page; its frame needs to know who looks."""
    try:
        visit = await _visit(request, await authenticate_session(request))
    except RenderctlError:
        return shown(request, "error", status=status_of(type(error)), error=error)
    return visit.show("error", status=status_of(type(error)), error=error)
