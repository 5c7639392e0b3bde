"""Who does something: every verb takes an actor, asks whether he may, and leaves an audit row of what he did."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to the farm; each may do what the one before may, and more."""

    VIEWER = "viewer"  #: sees what his projects do
    ARTIST = "artist"  #: uploads, submits and steers his own jobs
    OPERATOR = "operator"  #: sees and steers every job, and the workers
    ADMIN = "admin"  #: says who may do what


class Via(StrEnum):
    """How an actor came."""

    LOCAL = "local"  #: on a machine that holds the keys to the farm's parts: nothing could stop him
    TOKEN = "token"
    SESSION = "session"  #: with a password, from a browser


class Scope(StrEnum):
    """How much of what its user may do a token may do."""

    READ = "read"  #: see and fetch
    WORK = "work"  #: and upload, submit, steer
    ALL = "all"


@dataclass(frozen=True)
class Actor:
    """Somebody, and what he is at this moment."""

    name: str
    kind: str = "user"  #: user, worker or farm (the sweep)
    role: Role = Role.VIEWER
    projects: frozenset[str] = frozenset()  #: those that he is a member of
    via: Via = Via.LOCAL
    address: str | None = None  #: where from: a host's name or an IP address
    scope: Scope = Scope.ALL
    session: str | None = None  #: the id of the log-in from a browser that he came by

    @property
    def home(self) -> str:
        """The project of what he does without naming one."""
        return next(iter(self.projects)) if len(self.projects) == 1 else "default"


def local_actor(name: str, address: str | None = None) -> Actor:
    """Who uses the farm's parts himself. He could write to the database as well: he is an admin."""
    return Actor(name, role=Role.ADMIN, address=address)
