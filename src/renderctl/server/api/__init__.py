"""The routes of the API, one noun a file."""

from typing import Any

from fastapi import APIRouter

from renderctl.server.response_models import ErrorDocument
from renderctl.server.routing import AuthenticatedRoute

PREFIX = "/api/v1"
_SCHEMA = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorDocument.__name__}"}}}
#: Errors that any route may answer with. FastAPI builds a schema for each `model` of each route, which took most of the
#: start: one entry puts the model among the schemas, and the others refer to it.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, **({"model": ErrorDocument} if status == 500 else {"content": _SCHEMA})}
    for status, description in {
        400: "The request is malformed.",
        401: "The request has no valid token or session.",
        403: "The user may not do that.",
        404: "There is no such thing, or none that the user may see.",
        408: "The client sent the request too slowly.",
        409: "The state of the thing conflicts with the request.",
        413: "The request is too large.",
        422: "The request is not valid.",
        429: "Too many requests of this kind, or too many wrong passwords.",
        500: "The server has failed unexpectedly.",
        503: "A part of the farm cannot be reached.",
        507: "The store is full.",
    }.items()
}


def new_router(noun: str, prefix: str = PREFIX) -> APIRouter:
    """A router for the routes of one noun, authenticated before their bodies are read."""
    return APIRouter(prefix=prefix, tags=[noun], responses=ERRORS, route_class=AuthenticatedRoute)
