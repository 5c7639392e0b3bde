"""The cookie of a browser that has logged in before: it is no credential, but exempts it from the login throttle."""

from fastapi import Request, Response

_NAME = "renderctl_device"
_LIFETIME_S = 90 * 86_400
#: Characters of a cookie that is read; our own are far shorter.
_MAX_LENGTH = 128


def device_cookie(request: Request) -> str | None:
    """The secret of the browser's device cookie, if it sends one."""
    secret = request.cookies.get(_name(request))
    return secret if secret and len(secret) <= _MAX_LENGTH else None


def set_device_cookie(request: Request, response: Response, secret: str | None) -> None:
    """Set the device cookie: HttpOnly and SameSite=Strict."""
    if secret is not None:
        name, secure = _name(request), _is_tls(request)
        response.set_cookie(name, secret, _LIFETIME_S, path="/", secure=secure, httponly=True, samesite="strict")


def _name(request: Request) -> str:
    return f"__Host-{_NAME}" if _is_tls(request) else _NAME


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
