"""Routes that ask first who it is, and read the body of a request only then."""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from renderctl.server import strict_json
from renderctl.server.authentication import AUTHENTICATORS
from renderctl.server.request_body import STRANGER_BYTES, body_of
from renderctl.server.validation import BodyValidator

#: Bytes of a document that is read on the spot; what is longer is read in a thread, and gives others a turn.
_SHORT = 4096
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_ALLOWED = "renderctl_body_bytes"


def takes_body(most: int | None) -> Callable[[Endpoint], Endpoint]:
    """A route that takes more than `serve.body_kb`; None: it reads piece by piece, and counts for itself."""

    def marked(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ALLOWED, most)
        return endpoint

    return marked


class AuthenticatedRoute(APIRoute):
    """Who asks is known before a byte of the body is read. Without log-in, a route takes what strangers may send."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        dependencies = set(_dependencies(self.dependant))
        authenticators = [ask for dependency, ask in AUTHENTICATORS.items() if dependency in dependencies]
        field = self.body_field

        @cache
        def validator() -> BodyValidator:  # not before it is needed: it takes its time
            assert field is not None
            return BodyValidator(field.field_info.annotation)

        async def handling(request: Request) -> Response:
            allowed: int | None = STRANGER_BYTES
            if authenticators:
                await authenticators[0](request)
                default = request.app.state.connection.settings.serve.body_kb << 10
                allowed = getattr(self.endpoint, _ALLOWED, default)
            body_of(request.scope).allow(allowed)
            if field is not None:
                request = _JsonRequest(request.scope, request.receive)
                await request.read(allowed or STRANGER_BYTES, validator())
            return await handle(request)

        return handling


class _JsonRequest(Request):
    """Its document is read before the route has it: what is wrong is an error of ours."""

    _document: Any = None

    async def read(self, allowed: int, validator: BodyValidator) -> None:
        body = await self.body()
        if not body or "json" not in self.headers.get("content-type", ""):
            return

        def understood() -> Any:
            return validator.validate(strict_json.parse(body, allowed=allowed))

        self._document = understood() if len(body) <= _SHORT else await anyio.to_thread.run_sync(understood)

    async def json(self) -> Any:
        return self._document


def _dependencies(dependant: Dependant) -> list[Any]:
    return [dependant.call, *(call for each in dependant.dependencies for call in _dependencies(each))]
