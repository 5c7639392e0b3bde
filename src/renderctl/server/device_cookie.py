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
        options = {"httponly": True, "secure": request.url.scheme == "https", "path": "/"}
        response.set_cookie(_name(request), secret, max_age=_LASTS_S, samesite="strict", **options)  # type: ignore[arg-type]


def _name(request: Request) -> str:
    return f"__Host-{_NAME}" if request.url.scheme == "https" else _NAME
