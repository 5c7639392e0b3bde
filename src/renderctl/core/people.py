"""People: users, the projects that they share, the tokens that programs of theirs hold."""

import re
from dataclasses import dataclass
from datetime import datetime

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.errors import InvalidInput

#: Where things go whose owner names no project.
DEFAULT_PROJECT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: Characters that a password has at least, and at most (argon2 would take any number of them).
LEAST_PASSWORD, MOST_PASSWORD = 10, 1024


@dataclass(frozen=True)
class User:
    name: str
    role: Role
    projects: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    has_password: bool = False


@dataclass(frozen=True)
class Project:
    """What people work on together."""

    name: str
    pools: tuple[str, ...]  #: those that its artists may submit to; none: every pool
    members: tuple[str, ...]
    created_at: datetime

    def may_use(self, pool: str) -> bool:
        return not self.pools or pool in self.pools


@dataclass(frozen=True)
class Token:
    """What is known of a token; itself it is known to nobody but its holder."""

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
    """What is known of a log-in from a browser; what the browser holds is known to nobody else."""

    id: str
    user: str
    created_at: datetime
    expires_at: datetime
    address: str | None  #: from where it was begun
    seen_at: datetime | None = None  #: to the minute
    seen_from: str | None = None
    present: bool = False  #: whether it is the one that asks


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
    """What is known of the second factor of a user."""

    user: str
    confirmed_at: datetime | None  #: since when a log-in takes a code; None: it does not
    recovery_codes: int  #: how many are left for whoever has lost it


@dataclass(frozen=True)
class Invitation:
    """What whoever holds its code may become."""

    id: str
    role: Role
    projects: tuple[str, ...]
    created_by: str
    expires_at: datetime
    used_by: str | None = None
    withdrawn_at: datetime | None = None


def validated_name(name: str, noun: str = "user") -> str:
    """A name that looks like no other. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        hint = "Lower-case letters, digits, dots, dashes and underscores, 64 at most; a letter or digit first."
        raise InvalidInput(f"{name!r} can not be the name of a {noun}.", hint=hint)
    return name


def validated_password(password: str) -> str:
    """A password that is worth keeping. Raises InvalidInput, which does not show it."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise InvalidInput(f"A password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters.")
    return password
