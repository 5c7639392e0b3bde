"""Routes that authenticate a request first, and read its body only then."""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from renderctl.server import strict_json
from renderctl.server.authentication import AUTHENTICATORS
from renderctl.server.request_body import ANONYMOUS_BODY_BYTES, body_of
from renderctl.server.validation import BodyValidator

#: Bytes of a document that is parsed on the event loop; a longer one is parsed in a thread.
_INLINE_BYTES = 4096
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_LIMIT_ATTRIBUTE = "renderctl_body_bytes"


def body_limit(max_bytes: int | None) -> Callable[[Endpoint], Endpoint]:
    """Give a route another limit than `serve.body_kb`; None: it reads in chunks, and counts them itself."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _LIMIT_ATTRIBUTE, max_bytes)
        return endpoint

    return mark


class AuthenticatedRoute(APIRoute):
    """Authenticates before a byte of the body is read. A route without authentication takes ANONYMOUS_BODY_BYTES."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        dependencies = set(_dependencies(self.dependant))
        authenticators = [check for dependency, check in AUTHENTICATORS.items() if dependency in dependencies]
        field = self.body_field

        @cache
        def validator() -> BodyValidator:  # built when it is first needed: it takes a while
            assert field is not None
            return BodyValidator(field.field_info.annotation)

        async def handle_authenticated(request: Request) -> Response:
            max_bytes: int | None = ANONYMOUS_BODY_BYTES
            if authenticators:
                await authenticators[0](request)
                default = request.app.state.commands.settings.serve.body_kb << 10
                max_bytes = getattr(self.endpoint, _LIMIT_ATTRIBUTE, default)
            body_of(request.scope).allow(max_bytes)
            if field is not None:
                request = _JsonRequest(request.scope, request.receive)
                await request.read(max_bytes or ANONYMOUS_BODY_BYTES, validator())
            return await handle(request)

        return handle_authenticated


class _JsonRequest(Request):
    """A request whose document is parsed and validated before FastAPI does it, with errors of our own."""

    _document: Any = None

    async def read(self, max_bytes: int, validator: BodyValidator) -> None:
        body = await self.body()
        if not body or "json" not in self.headers.get("content-type", ""):
            return

        def parse() -> Any:
            return validator.validate(strict_json.parse_json(body, max_bytes=max_bytes))

        self._document = parse() if len(body) <= _INLINE_BYTES else await anyio.to_thread.run_sync(parse)

    async def json(self) -> Any:
        return self._document


def _dependencies(dependant: Dependant) -> list[Any]:
    return [dependant.call, *(call for child in dependant.dependencies for call in _dependencies(child))]
