"""Passwords that are set apart from their URL, such as those read from a file."""

import re
from dataclasses import replace
from urllib.parse import quote

from renderctl.core.errors import BadSettings
from renderctl.core.settings.groups import Settings

#: `scheme://`, an optional user before an @, and the rest.
_URL = re.compile(r"(?P<kind>[^:/?#]+://)(?:(?P<user>[^/?#@]*)@)?(?P<place>[^@]*)")


def with_passwords(settings: Settings) -> Settings:
    """Return the settings with each password inserted into its URL. Raises BadSettings if a URL takes none."""
    for name in ("database", "queue", "cache"):
        group = getattr(settings, name)
        if group.password is not None:
            group = replace(group, url=_with_password(group.url, group.password, name))
            settings = replace(settings, **{name: group})
    return settings


def _with_password(url: str | None, password: str, name: str) -> str:
    parts = _URL.fullmatch(url or "")
    if parts is None:
        raise BadSettings(f"{name}.password requires {name}.url, such as kind://user@host/name.")
    user = parts["user"] or ""
    if ":" in user:
        raise BadSettings(f"{name}.url has a password already.", hint="Set only one of them.")
    return f"{parts['kind']}{user}:{quote(password, safe='')}@{parts['place']}"
