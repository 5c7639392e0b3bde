"""The server that this machine goes through, and the token for it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderctl.core.actors import Actor
    from renderctl.core.settings import Settings


def is_unencrypted(url: str) -> bool:
    """Whether what is sent to a server can be read on the way."""
    from renderctl.client.addresses import is_unencrypted

    return is_unencrypted(url)


def log_in(
    url: str,
    *,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    code: str | None = None,
) -> "tuple[Actor, str]":
    """Keep a token of a server for all commands to come: see `renderctl.client.login`."""
    from renderctl.client.login import Credentials, log_in

    return log_in(_login_file(), url, Credentials(token, user, password, code))


def log_out() -> str | None:
    """Forget the server and its token; its address."""
    from renderctl.client.login import log_out

    return log_out(_login_file())


def kept_server(settings: "Settings") -> tuple[str, str | None] | None:
    """The server to go through, and the token for it: that of the config, else that of `login`.

    Where the config names services, these are used: a node's config is not overruled by who has logged in on it.
    """
    file = _login_file()
    if settings.server.url is None and (settings.names_services or not file.exists()):
        return None
    if settings.server.url is not None and settings.server.token is not None:
        return settings.server.url, settings.server.token
    from renderctl.client.credentials import load_login

    stored = load_login(file)
    if settings.server.url is None:
        return (stored.url, stored.token) if stored is not None else None
    same = stored is not None and stored.url == settings.server.url.rstrip("/")
    return settings.server.url, stored.token if stored is not None and same else None


def _login_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("renderctl", appauthor=False) / "login.json"
