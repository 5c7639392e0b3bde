"""The application: every route, with errors, headers and limits that all of them share."""

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
from renderctl.server.outbound_requests import OutgoingCalls
from renderctl.server.request_body import RequestBodyMiddleware
from renderctl.server.streams import Streams
from renderctl.server.web.context import nowhere
from renderctl.wiring import LocalCommands
from renderctl.wiring.server_parts import ServerParts

_NOUNS = (jobs, tasks, outputs, uploads, models, events, workers, people, totp, sessions, webhooks, quotas, audit)
#: FastAPI works much out of a route, once, when it is imported. Including the routers in an application would have it
#: done again, for each application and within the first request to it.
_ROUTES = [
    *(route for noun in _NOUNS for route in noun.router.routes),
    *health.router.routes,
    *tasks.unversioned.routes,
    *web.ROUTES,
]


def create_app(connection: LocalCommands) -> FastAPI:
    """The application that serves the farm of a connection."""
    app = FastAPI(
        title="renderctl",
        version=__version__,
        summary="A render farm controller for Blender.",
        description=(
            "The use-cases of the command line. Show a token (`Authorization: Bearer TOKEN`); errors are the "
            "documents that `--json` prints, and nothing here may do more than the same user's command line."
        ),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        routes=_ROUTES,
    )
    parts = ServerParts(connection)
    app.state.connection = connection
    app.state.parts = parts
    app.state.doors = Authenticator(parts)
    app.state.readiness = health.ReadinessProbe(parts)
    app.state.figures = metrics.Exporter(parts.clock)
    app.state.outgoing = OutgoingCalls(connection.settings.quota.user_pings)
    app.state.leaving = threading.Event()
    serve = connection.settings.serve
    app.state.streams = Streams(serve.connections // 2, serve.streams_per_user)
    app.state.watch = Broadcaster(parts, app.state.leaving)
    add_error_handlers(app)
    app.add_exception_handler(404, nowhere)
    app.add_middleware(RequestBodyMiddleware, patience_s=serve.body_timeout)
    app.add_middleware(SecurityHeadersMiddleware, hosts=serve.hosts)
    app.add_middleware(MetricsMiddleware)
    app.add_middleware(ConnectionMiddleware)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: ServerParts = app.state.parts
    parts.start()
    async with app.state.watch.running():
        yield
    app.state.leaving.set()
    await anyio.to_thread.run_sync(parts.stop)


class MetricsMiddleware:
    """Counts every request, and how long its answer took to begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method = perf_counter(), scope["method"]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.requests.labels(method, message["status"]).inc()
                metrics.seconds.labels(method).observe(perf_counter() - began)
            await send(message)

        await self._app(scope, receive, sending)
