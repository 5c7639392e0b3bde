"""Errors over HTTP: the documents of `--json`, with a status for each class of error."""

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

#: The status of an error: that of its class, or of the nearest class above it.
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
_HTTP_ERRORS: Mapping[int, tuple[type[RenderctlError], str]] = {
    404: (errors.NotFound, "There is no such address."),
    405: (errors.UsageError, "This address does not support the method."),
    413: (errors.TooLarge, "The request is too large."),
}


def status_of(kind: type[RenderctlError]) -> int:
    """The HTTP status for a class of errors."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def error_response(error: RenderctlError, *, status: int | None = None) -> JSONResponse:
    """The response for an error; call `redact_error` first where it may name paths of the server."""
    return JSONResponse(error_document(error), status or status_of(type(error)), _headers(error))


def redact_error(error: RenderctlError, request: Request) -> RenderctlError:
    """The error as clients may read it: without paths of the server."""
    settings = request.app.state.commands.settings
    error.message = redacted(error.message, settings)
    error.hint = redacted(error.hint, settings) if error.hint else None
    return error


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with its document."""

    @app.exception_handler(RenderctlError)
    def handle_known(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RenderctlError)
        if status_of(type(error)) >= 500:
            logger.warning("%s", error)
        return error_response(redact_error(error, request))

    @app.exception_handler(RequestValidationError)
    def handle_invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(errors.InvalidInput(f"The request is not valid: {_described(error.errors())}."))

    @app.exception_handler(OverflowError)
    def handle_overflow(request: Request, error: Exception) -> JSONResponse:
        logger.warning("%s %s: a number or a time is out of range: %s", request.method, request.url.path, error)
        return error_response(errors.InvalidInput("A number or a time of the request is out of range."))

    @app.exception_handler(HTTPException)
    def handle_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kind, message = _HTTP_ERRORS.get(error.status_code, (errors.UsageError, str(error.detail)))
        response = error_response(kind(message), status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def handle_unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(RenderctlError(hint="The log of the server has the details."))


def _headers(error: RenderctlError) -> dict[str, str]:
    headers = {"WWW-Authenticate": "Bearer"} if status_of(type(error)) == 401 else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return headers


def _described(mistakes: Any) -> str:
    """The first mistakes and their places; never the values, which may be passwords."""
    return "; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in list(mistakes)[:5])
