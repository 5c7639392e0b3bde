"""The routes of the API, one noun a file."""

from typing import Any

from fastapi import APIRouter

from renderctl.server.response_models import ErrorDocument
from renderctl.server.routing import AuthenticatedRoute

PREFIX = "/api/v1"
_SCHEMA = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorDocument.__name__}"}}}
#: What any route may answer besides what it says itself. A `model` is worked out for each status of each route, which
#: took a start longer than all the rest: the last one puts it among the schemas, to which the others refer.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, **({"model": ErrorDocument} if status == 500 else {"content": _SCHEMA})}
    for status, said in {
        400: "The request makes no sense.",
        401: "Nobody is logged in, or the token is not valid any more.",
        403: "Whoever asks may not do that.",
        404: "There is no such thing, or none that whoever asks may know of.",
        408: "The request came too slowly.",
        409: "It is in another state, or was done already in another way.",
        413: "The request is too large.",
        422: "The input is not valid.",
        429: "Too many wrong passwords, or too much of this at a time.",
        500: "Something went wrong that was not expected.",
        503: "A part of the farm is out of reach.",
        507: "The store has no room left.",
    }.items()
}


def new_router(noun: str, prefix: str = PREFIX) -> APIRouter:
    """A router for the routes of a noun."""
    return APIRouter(prefix=prefix, tags=[noun], responses=ERRORS, route_class=AuthenticatedRoute)
