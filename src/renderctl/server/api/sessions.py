"""Who asks: shown to himself, logged in, logged out."""

from typing import Annotated

from fastapi import Depends, Response

from renderctl.actors import Actor
from renderctl.server.answers import answer
from renderctl.server.api import new_router
from renderctl.server.documents import SessionDocument
from renderctl.server.doors import Admitted, Verbs, admitted

router = new_router("sessions")


@router.get("/whoami", response_model=Actor)
def whoami(verbs: Verbs) -> Response:
    """Who one is to the farm."""
    return answer(verbs.actor)


@router.get("/session", response_model=SessionDocument)
def session(who: Annotated[Admitted, Depends(admitted)]) -> Response:
    """Who is logged in, and what his browser has to show when it writes."""
    actor = who.actor
    return answer({"name": actor.name, "role": actor.role, "projects": sorted(actor.projects), "csrf": who.csrf})
