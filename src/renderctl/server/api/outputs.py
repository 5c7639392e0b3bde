"""Outputs: lists, links, and the files themselves."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from renderctl.farm.jobs.download import Link
from renderctl.farm.jobs.outputs import OutputPage
from renderctl.server.api import PREFIX, new_router
from renderctl.server.api.jobs import JobRef
from renderctl.server.authentication import Commands
from renderctl.server.responses import file_response, json_response

router = new_router("outputs")
_REDIRECT_LIFETIME_S = 600.0


@router.get("/jobs/{job}/outputs", response_model=OutputPage)
def outputs(
    verbs: Commands,
    job: JobRef,
    after: Annotated[int, Query(description="`next` of the last page.", ge=0, le=1 << 53)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """List a job's outputs, oldest first."""
    return json_response(verbs.outputs(job, after=after, limit=limit))


@router.get("/jobs/{job}/links", response_model=list[Link])
def links(
    request: Request, verbs: Commands, job: JobRef, expires_s: Annotated[float, Query(ge=1, le=604_800)] = 86_400.0
) -> Response:
    """List links with which anybody may download the job's images, for `expires_s` seconds.

    Where the farm stores them in a folder, the links lead to this server, and need a token.
    """
    if verbs.settings.store.kind != "local":
        return json_response(verbs.links(job, expires_s))
    base = f"{request.base_url}{PREFIX.strip('/')}/jobs/{quote(job, safe='')}/outputs"
    return json_response(verbs.links_to(job, lambda output: f"{base}/{output.number}/{quote(output.name)}"))


@router.get(
    "/jobs/{job}/outputs/{number}/{name:path}",
    response_class=FileResponse,
    responses={
        206: {"description": "The requested range."},
        304: {"description": "The client has the current file."},
        307: {"description": "The store has the file."},
        416: {"description": "The file has no such range."},
    },
)
def output(
    request: Request,
    verbs: Commands,
    job: JobRef,
    number: Annotated[int, Path(description="The task's number.", ge=1, le=1 << 31)],
    name: Annotated[str, Path(max_length=255)],
    direct: Annotated[bool, Query(description="false: never redirect to the store.")] = True,
    range: Annotated[str | None, Header(description="bytes=FIRST-LAST")] = None,
) -> Response:
    """Download an output, or a range of it."""
    output_file = verbs.open_output(job, number, name)
    if direct and verbs.settings.serve.direct and verbs.settings.store.kind != "local":
        return RedirectResponse(output_file.url(_REDIRECT_LIFETIME_S), 307)
    return file_response(request, output_file)
