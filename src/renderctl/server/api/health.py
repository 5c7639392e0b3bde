"""Liveness, readiness and metrics of the server."""

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
#: Seconds for which the readiness is cached.
CACHE_S = 1.0


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """Liveness: the server process answers."""
    return json_response({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(request: Request) -> Response:
    """Readiness: whether the database and the store can be used."""
    probe: ReadinessProbe = request.app.state.readiness
    parts = await probe.parts()
    ready = all(parts.values())
    return json_response({"status": "ready" if ready else "not ready", "parts": parts}, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, verbs: MetricsCommands) -> Response:
    """Metrics for Prometheus; the token is an operator's of scope `read`, or `serve.metrics_token`."""
    exporter: Exporter = request.app.state.exporter
    text, media_type = exporter.render(verbs)
    return Response(text, media_type=media_type)


class ReadinessProbe:
    """Checks the parts at most once in CACHE_S, however many requests there are: they need no authentication."""

    def __init__(self, parts: ServerParts) -> None:
        self._server_parts = parts
        self._lock = anyio.Lock()
        self._parts: dict[str, bool] = {}
        self._expires_at = -inf

    async def parts(self) -> dict[str, bool]:
        """Which parts can be used. A request that waits holds no thread."""
        async with self._lock:
            if self._server_parts.clock.monotonic() >= self._expires_at:
                self._parts = await anyio.to_thread.run_sync(self._server_parts.readiness)
                self._expires_at = self._server_parts.clock.monotonic() + CACHE_S
            return self._parts
