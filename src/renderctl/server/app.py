"""The application: all routes, and the errors, headers and limits that they share."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import anyio.to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from renderctl import __version__
from renderctl.server import metrics, web
from renderctl.server.api import (
    PREFIX,
    audit,
    events,
    health,
    jobs,
    models,
    outputs,
    people,
    quotas,
    sessions,
    tasks,
    totp,
    uploads,
    webhooks,
    workers,
)
from renderctl.server.authentication import Authenticator
from renderctl.server.connection_limits import ConnectionMiddleware
from renderctl.server.errors import add_error_handlers
from renderctl.server.event_broadcaster import Broadcaster
from renderctl.server.headers import SecurityHeadersMiddleware
from renderctl.server.outbound_requests import OutboundRequests
from renderctl.server.request_body import RequestBodyMiddleware
from renderctl.server.streams import StreamLimits
from renderctl.server.web.context import not_found
from renderctl.wiring import LocalCommands
from renderctl.wiring.server_parts import ServerParts

_NOUNS = (jobs, tasks, outputs, uploads, models, events, workers, people, totp, sessions, webhooks, quotas, audit)
#: FastAPI analyses a route when its module is imported. To include the routers would repeat that for each application.
_ROUTES = [
    *(route for noun in _NOUNS for route in noun.router.routes),
    *health.router.routes,
    *tasks.unversioned.routes,
    *web.ROUTES,
]


def create_app(commands: LocalCommands) -> FastAPI:
    """The application that serves a farm: its requests call these commands, as their users."""
    app = FastAPI(
        title="renderctl",
        version=__version__,
        summary="A render farm controller for Blender.",
        description=(
            "The commands of `renderctl` over HTTP. Send a token (`Authorization: Bearer TOKEN`). Errors are the "
            "documents that `--json` prints; permissions are those of the same user on the command line."
        ),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        routes=_ROUTES,
    )
    parts = ServerParts(commands)
    app.state.commands = commands
    app.state.parts = parts
    app.state.authenticator = Authenticator(parts)
    app.state.readiness = health.ReadinessProbe(parts)
    app.state.exporter = metrics.Exporter(parts.clock)
    app.state.outbound = OutboundRequests(commands.settings.quota.user_pings)
    app.state.stopping = threading.Event()
    serve = commands.settings.serve
    app.state.stream_limits = StreamLimits(serve.connections // 2, serve.streams_per_user)
    app.state.broadcaster = Broadcaster(parts, app.state.stopping)
    add_error_handlers(app)
    app.add_exception_handler(404, not_found)
    app.add_middleware(RequestBodyMiddleware, timeout_s=serve.body_timeout)
    app.add_middleware(SecurityHeadersMiddleware, hosts=serve.hosts)
    app.add_middleware(MetricsMiddleware)
    app.add_middleware(ConnectionMiddleware)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: ServerParts = app.state.parts
    parts.start()
    async with app.state.broadcaster.running():
        yield
    app.state.stopping.set()
    await anyio.to_thread.run_sync(parts.stop)


class MetricsMiddleware:
    """Counts requests, and measures the seconds until the response begins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, method = perf_counter(), scope["method"]

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.request_count.labels(method, message["status"]).inc()
                metrics.request_seconds.labels(method).observe(perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_measured)
