"""Whether the server lives, whether it can serve, and what it measures."""

from math import inf

import anyio
import anyio.to_thread
from fastapi import Request, Response

from renderctl.server.api import new_router
from renderctl.server.authentication import MetricsCommands
from renderctl.server.metrics import Exporter
from renderctl.server.response_models import Health, Readiness
from renderctl.server.responses import json_response
from renderctl.wiring.server_parts import ServerParts

router = new_router("health", prefix="")
#: Seconds for which it is as it was.
FRESH_S = 1.0


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """The server lives."""
    return json_response({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(request: Request) -> Response:
    """Whether it can answer: whether the database and the store can be used."""
    readiness: ReadinessProbe = request.app.state.readiness
    parts = await readiness.parts()
    ready = all(parts.values())
    return json_response({"status": "ready" if ready else "not ready", "parts": parts}, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, verbs: MetricsCommands) -> Response:
    """What Prometheus reads; it takes an operator's token of scope `read`, or `serve.metrics_token`."""
    figures: Exporter = request.app.state.figures
    text, kind = figures.told(verbs)
    return Response(text, media_type=kind)


class ReadinessProbe:
    """Looks at the parts once in a moment, however many ask: anybody may."""

    def __init__(self, parts: ServerParts) -> None:
        self._server = parts
        self._lock = anyio.Lock()
        self._parts: dict[str, bool] = {}
        self._good_until = -inf

    async def parts(self) -> dict[str, bool]:
        """Which of them can be used. Whoever waits takes no thread."""
        async with self._lock:
            if self._server.clock.monotonic() >= self._good_until:
                self._parts = await anyio.to_thread.run_sync(self._server.readiness)
                self._good_until = self._server.clock.monotonic() + FRESH_S
            return self._parts
