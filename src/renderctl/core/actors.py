"""Actors: who performs an action. Every verb takes an actor, authorizes them, and writes an audit entry."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A user's role in the farm; each includes the permissions of the one before."""

    VIEWER = "viewer"  #: sees their projects' jobs and models
    ARTIST = "artist"  #: uploads, submits, and controls their own jobs
    OPERATOR = "operator"  #: sees and controls every job and the workers
    ADMIN = "admin"  #: manages users, projects and roles


class Via(StrEnum):
    """How an actor was authenticated."""

    LOCAL = "local"  #: on a machine with the credentials of the farm's services: no check could stop them
    TOKEN = "token"
    SESSION = "session"  #: a web session: logged in with a password from a browser


class Scope(StrEnum):
    """Which of its user's permissions a token grants."""

    READ = "read"  #: read and download
    WORK = "work"  #: and upload, submit, control jobs
    ALL = "all"


@dataclass(frozen=True)
class Actor:
    """An authenticated user, worker or system component, with its present role and projects."""

    name: str
    kind: str = "user"  #: user, worker or farm (the sweep)
    role: Role = Role.VIEWER
    projects: frozenset[str] = frozenset()  #: projects that the actor is a member of
    via: Via = Via.LOCAL
    address: str | None = None  #: origin: a host's name or an IP address
    scope: Scope = Scope.ALL
    session: str | None = None  #: the id of the web session, for Via.SESSION

    @property
    def default_project(self) -> str:
        """The project of a request that names none: the actor's only one, else `default`."""
        return next(iter(self.projects)) if len(self.projects) == 1 else "default"


def local_actor(name: str, address: str | None = None) -> Actor:
    """Return the actor of a local command. They could write to the database directly, so they are an admin."""
    return Actor(name, role=Role.ADMIN, address=address)
