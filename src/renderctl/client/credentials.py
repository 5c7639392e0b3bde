"""The server that a user is logged in to, and its token: in the system's keyring, else in a private file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.core.errors import BadSettings
from renderctl.core.private_files import write_private

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE = "renderctl"


@dataclass(frozen=True)
class Login:
    """A server, and who one is there."""

    url: str
    user: str
    token: str | None = field(repr=False)


def load_login(file: Path) -> Login | None:
    """What `keep_login` has kept. Raises BadSettings for a file that can not be read."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        url, user, token = document["url"], document["user"], document.get("token")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "`renderctl logout` removes it, `renderctl login URL` writes it anew."
        raise BadSettings(f"{file} can not be read.", hint=hint) from error
    return Login(url, user, token or _from_keyring(url))


def save_login(file: Path, login: Login) -> str:
    """Keep it for the next commands; where the token is."""
    in_keyring = _into_keyring(login.url, login.token or "")
    document = {"url": login.url, "user": login.user} | ({} if in_keyring else {"token": login.token})
    write_private(file, json.dumps(document) + "\n")
    return "the keyring" if in_keyring else str(file)


def forget_login(file: Path) -> None:
    """Keep it no longer."""
    try:
        login = load_login(file)
    except BadSettings:
        login = None
    if login is not None:
        _out_of_keyring(login.url)
    file.unlink(missing_ok=True)


def _usable() -> "KeyringBackend | None":
    """The keyring of this system; None: it has none that one may write to without being asked anything."""
    import keyring

    ring = keyring.get_keyring()
    return ring if ring.priority > 0 else None


def _into_keyring(url: str, token: str) -> bool:
    from keyring.errors import KeyringError

    try:
        if (ring := _usable()) is None:
            return False
        ring.set_password(_SERVICE, url, token)
        return ring.get_password(_SERVICE, url) == token
    except (KeyringError, RuntimeError):
        return False


def _from_keyring(url: str) -> str | None:
    from keyring.errors import KeyringError

    try:
        ring = _usable()
        return ring.get_password(_SERVICE, url) if ring is not None else None
    except (KeyringError, RuntimeError):
        return None


def _out_of_keyring(url: str) -> None:
    from keyring.errors import KeyringError

    try:
        if (ring := _usable()) is not None:
            ring.delete_password(_SERVICE, url)
    except (KeyringError, RuntimeError):
        return
