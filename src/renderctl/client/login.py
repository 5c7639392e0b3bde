"""`login` and `logout`: a token of the server is kept on this machine, and given back."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.client.credentials import Login, forget_login, load_login, save_login
from renderctl.client.http import HttpClient
from renderctl.client.responses import token as token_in
from renderctl.client.responses import typed
from renderctl.core.actors import Actor
from renderctl.core.errors import NotAllowed, NotFound, Unreachable, UsageError


@dataclass(frozen=True)
class Credentials:
    """What one shows: a token, or a user's name and password, and a code where they have a second factor."""

    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


def log_in(file: Path, url: str, shown: Credentials) -> tuple[Actor, str]:
    """Log in by a token, or have one made by a password; who one is, and where the token is kept.

    Raises TokenRefused, LoginRefused, CodeNeeded, TooManyGuesses, ServerUnavailable.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is no address of a server.", hint="It begins with https:// or http://.")
    url = url.rstrip("/")
    token = shown.token
    if token is None:
        body = {"user": shown.user, "password": shown.password, "name": f"renderctl on {socket.gethostname()}"[:64]}
        body |= {"otp": shown.code} if shown.code is not None else {}  # servers of before know no such thing
        token = token_in(HttpClient(url, None).post("/tokens/by-password", body))
    actor = typed(Actor, HttpClient(url, token).get("/whoami"))
    return actor, save_login(file, Login(url, actor.name, token))


def log_out(file: Path) -> str | None:
    """Forget the token, and have the server revoke it if it can be reached; the server's address."""
    login = load_login(file)
    if login is None:
        return None
    if login.token is not None:
        _revoke(HttpClient(login.url, login.token))
    forget_login(file)
    return login.url


def _revoke(api: HttpClient) -> None:
    """The token itself says who it is; one that is good for nothing already, or out of reach, is left to its end."""
    try:
        api.delete("/tokens/mine")
    except (NotAllowed, NotFound, Unreachable):
        return
    finally:
        api.close()
