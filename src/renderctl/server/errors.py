"""Errors as HTTP has them: the documents of `--json`, each with a status that its class has in one table."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from renderctl.core import errors
from renderctl.core.errors import RenderctlError
from renderctl.core.redaction import redacted
from renderctl.core.serialization import error_document

logger = logging.getLogger(__name__)

#: The status of an error is that of its class, or of the nearest class above it.
STATUS: Mapping[type[RenderctlError], int] = {
    errors.UsageError: 400,
    errors.LoginNeeded: 401,
    errors.LoginRefused: 401,
    errors.TokenRefused: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.IllegalTransition: 409,
    errors.TooLarge: 413,
    errors.InvalidInput: 422,
    errors.DigestMismatch: 422,
    errors.TooSlow: 408,
    errors.TooManyGuesses: 429,
    errors.TooManyRequests: 429,
    errors.StoreFull: 507,
    errors.Unreachable: 503,
    errors.RenderctlError: 500,
}
_OF_HTTP: Mapping[int, tuple[type[RenderctlError], str]] = {
    404: (errors.NotFound, "There is no such address."),
    405: (errors.UsageError, "That can not be done at this address."),
    413: (errors.TooLarge, "The request is too large."),
}


def status_of(kind: type[RenderctlError]) -> int:
    """The status of an answer that tells of such an error."""
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def error_response(error: RenderctlError, *, status: int | None = None) -> JSONResponse:
    """The answer that tells of an error; `for_others` makes one of what may name places of the server."""
    return JSONResponse(error_document(error), status or status_of(type(error)), _headers(error))


def for_others(error: RenderctlError, request: Request) -> RenderctlError:
    """The error as whoever asks may read it: without places of the server."""
    settings = request.app.state.connection.settings
    error.message = redacted(error.message, settings)
    error.hint = redacted(error.hint, settings) if error.hint else None
    return error


def add_error_handlers(app: FastAPI) -> None:
    """Have every error answered with its document."""

    @app.exception_handler(RenderctlError)
    def known(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RenderctlError)
        if status_of(type(error)) >= 500:
            logger.warning("%s", error)
        return error_response(for_others(error, request))

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(errors.InvalidInput(f"The request is not valid: {_described(error.errors())}."))

    @app.exception_handler(OverflowError)
    def beyond(request: Request, error: Exception) -> JSONResponse:
        logger.warning(
            "%s %s: a number or a time is beyond all that can be: %s", request.method, request.url.path, error
        )
        return error_response(errors.InvalidInput("A number or a time of the request is beyond all that can be."))

    @app.exception_handler(HTTPException)
    def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kind, sentence = _OF_HTTP.get(error.status_code, (errors.UsageError, str(error.detail)))
        answer = error_response(kind(sentence), status=error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(RenderctlError(hint="The log of the server says more."))


def _headers(error: RenderctlError) -> dict[str, str]:
    headers = {"WWW-Authenticate": "Bearer"} if status_of(type(error)) == 401 else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return headers


def _described(found: Any) -> str:
    """What is wrong, and where; never the value, which may be a password."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in list(found)[:5])
