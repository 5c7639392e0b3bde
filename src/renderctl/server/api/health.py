"""Whether the server lives, whether it can serve, and what it measures."""

from typing import Any

from fastapi import Request, Response

from renderctl.errors import RenderctlError
from renderctl.server.answers import answer
from renderctl.server.api import new_router
from renderctl.server.documents import Health, Readiness
from renderctl.server.doors import MeasuringVerbs
from renderctl.server.measuring import Figures

router = new_router("health", prefix="")
#: A blob that no store has: one has to look to know that it is missing.
_NO_BLOB = "0" * 64


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """The server lives."""
    return answer({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
def readyz(request: Request) -> Response:
    """Whether it can answer: whether the database and the store can be used."""
    farm = request.app.state.connection.farm
    parts = {"database": _works(farm.repository.time), "store": _works(lambda: farm.store.missing({_NO_BLOB}))}
    ready = all(parts.values())
    return answer({"status": "ready" if ready else "not ready", "parts": parts}, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, verbs: MeasuringVerbs) -> Response:
    """What Prometheus reads; it takes an operator's token of scope `read`, or `serve.metrics_token`."""
    figures: Figures = request.app.state.figures
    text, kind = figures.told(verbs)
    return Response(text, media_type=kind)


def _works(ask: Any) -> bool:
    try:
        ask()
    except RenderctlError:
        return False
    return True
