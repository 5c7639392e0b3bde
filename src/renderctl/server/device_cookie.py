"""The cookie that tells a browser in which somebody has logged in before: it lets nobody in, and spares it waiting."""

from fastapi import Request, Response

_NAME = "renderctl_device"
_LASTS_S = 90 * 86_400
#: A cookie of ours is far shorter.
_LONGEST = 128


def device_of(request: Request) -> str | None:
    """What the browser's cookie says."""
    secret = request.cookies.get(_name(request))
    return secret if secret and len(secret) <= _LONGEST else None


def keep_device(request: Request, response: Response, secret: str | None) -> None:
    """Have the browser keep the cookie: out of reach of scripts, and of other sites."""
    if secret is not None:
        name, secure = _name(request), _is_tls(request)
        response.set_cookie(name, secret, _LASTS_S, path="/", secure=secure, httponly=True, samesite="strict")


def _name(request: Request) -> str:
    return f"__Host-{_NAME}" if _is_tls(request) else _NAME


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
