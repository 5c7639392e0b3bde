"""People: users, projects, API tokens, web sessions and invitations."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.errors import InvalidInput

#: The project of jobs and models whose owner names none.
DEFAULT_PROJECT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: Bounds of a password's length in characters; argon2 itself has none.
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 10, 1024


@dataclass(frozen=True)
class User:
    """A person's account."""

    name: str
    role: Role
    projects: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    has_password: bool = False


@dataclass(frozen=True)
class Project:
    """A group of users who share jobs and models."""

    name: str
    pools: tuple[str, ...]  #: pools that its artists may submit to; empty: every pool
    members: tuple[str, ...]
    created_at: datetime

    def may_use(self, pool: str) -> bool:
        """Return whether the project's artists may submit to the pool."""
        return not self.pools or pool in self.pools


@dataclass(frozen=True)
class Token:
    """An API token, without its secret, which only its holder knows."""

    id: str
    user: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None  #: None: never
    revoked_at: datetime | None = None
    used_at: datetime | None = None  #: to the minute


@dataclass(frozen=True)
class WebSession:
    """A login from a browser, without its cookie's secret, which only the browser knows."""

    id: str
    user: str
    created_at: datetime
    expires_at: datetime
    address: str | None  #: IP address that it was created from
    seen_at: datetime | None = None  #: to the minute
    seen_from: str | None = None
    present: bool = False  #: whether it is the session of the request


@dataclass(frozen=True)
class TokenUse:
    """A valid token was shown: by whom, and when, by the database's clock."""

    actor: Actor
    token_id: str
    at: datetime


@dataclass(frozen=True)
class SessionUse:
    """A browser showed a valid session: whose, and when, by the database's clock."""

    actor: Actor
    csrf: str
    at: datetime


@dataclass(frozen=True)
class TotpStatus:
    """The state of a user's second factor (TOTP)."""

    user: str
    confirmed_at: datetime | None  #: since when a login requires a code; None: it does not
    recovery_codes: int  #: recovery codes that are left


@dataclass(frozen=True)
class Invitation:
    """An invitation to create an account, without its secret code."""

    id: str
    role: Role
    projects: tuple[str, ...]
    created_by: str
    expires_at: datetime
    used_by: str | None = None
    withdrawn_at: datetime | None = None


def validated_name(name: str, noun: str = "user") -> str:
    """Return the name if it has only unambiguous characters. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        hint = "Use lower-case letters, digits, dots, dashes and underscores, 64 at most; a letter or digit first."
        raise InvalidInput(f"{name!r} cannot be the name of a {noun}.", hint=hint)
    return name


def validated_password(password: str) -> str:
    """Return the password if its length is allowed. Raises InvalidInput, which never shows it."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidInput(f"A password must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")
    return password


@dataclass(frozen=True)
class TotpSecret:
    """The secret of a user's time-based codes."""

    secret: str = field(repr=False)  #: base32
    is_confirmed: bool  #: False: it was shown of late, and counts for nothing yet
    last_step: int  #: of the last code that was used


@dataclass(frozen=True)
class ShownCredentials:
    """What somebody has shown to log in."""

    password: str | None = field(repr=False)  #: the hash that it was held against
    code: bool  #: whether there was a code of the second factor, too
