"""Users, and the projects that they are members of."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.errors import Conflict, NotFound, TokenRefused, did_you_mean
from renderctl.core.people import DEFAULT_PROJECT, Project, User
from renderctl.core.states import JobState
from renderctl.repository.database import Database
from renderctl.repository.schema.jobs import jobs
from renderctl.repository.schema.people import known_origins, members, projects, users, web_sessions


class Enrolling(Database):
    """Who there is, and who works with whom."""

    def add_user(
        self, name: str, role: Role, among: Sequence[str], *, password: str | None, actor: Actor, first: bool = False
    ) -> User:
        """Add a user with the hash of a password, a member of projects. Raises Conflict, NotFound.

        The `first` admin of a farm is added while it has none.
        """

        def writing(connection: Connection) -> User:
            if first and count_admins(connection):
                raise Conflict("The farm has an admin already.", hint="`renderctl users add NAME --role admin`.")
            return self.enroll(connection, name, role, among, password=password, actor=actor)

        return self.deed(writing, done=lambda connection, _: to_user(connection, find_user(connection, name)))

    def enroll(
        self,
        connection: Connection,
        name: str,
        role: Role,
        among: Sequence[str],
        *,
        password: str | None,
        actor: Actor,
    ) -> User:
        """As `add_user`, as a part of a deed."""
        if connection.execute(select(users.c.name).where(users.c.name == name)).first():
            raise Conflict(f"There is a user {name!r} already.")
        row = {"name": name, "role": role, "password": password, "created_at": self.now(connection)}
        connection.execute(users.insert(), row)
        for project in dict.fromkeys(among):
            self._join(connection, project, name)
        self.audit(connection, actor, "user.add", name, role=role, projects=list(among))
        return to_user(connection, find_user(connection, name))

    def user(self, name: str) -> User:
        """Raises NotFound."""
        return self.read(lambda connection: to_user(connection, find_user(connection, name)))

    def users(self) -> list[User]:
        """All of them, by their names."""

        def reading(connection: Connection) -> list[User]:
            found = connection.execute(select(users).order_by(users.c.name)).all()
            joined: dict[str, list[str]] = {}
            for each in connection.execute(select(members).order_by(members.c.project)):
                joined.setdefault(each.user, []).append(each.project)
            return [_user(row, joined.get(row.name, ())) for row in found]

        return self.read(reading)

    def set_role(self, name: str, role: Role, *, actor: Actor) -> User:
        """From his next step on. Raises NotFound, Conflict for the last admin."""
        return self._changed(name, {"role": role}, actor, "user.role", role=role)

    def disable_user(self, name: str, *, actor: Actor) -> User:
        """Neither their password nor a token lets them in any more, and their open jobs pause: running frames finish.

        Raises NotFound, Conflict for the last admin.
        """
        return self._changed(name, {"disabled_at": True}, actor, "user.disable")

    def jobs_paused_for(self, name: str, *, limit: int) -> Sequence[str]:
        """The ids of the latest jobs that are paused because their owner was disabled."""
        which = (jobs.c.owner == name) & (jobs.c.state == JobState.PAUSED) & jobs.c.pause_reason.is_not(None)
        query = select(jobs.c.id).where(which).order_by(jobs.c.id.desc()).limit(limit)
        return self.read(lambda connection: connection.scalars(query).all())

    def enable_user(self, name: str, *, actor: Actor) -> User:
        """Raises NotFound."""
        return self._changed(name, {"disabled_at": None}, actor, "user.enable")

    def set_password(self, name: str, password: str, *, actor: Actor) -> User:
        """Keep the hash of a new password; whoever is logged in with the old one no longer is. Raises NotFound."""
        return self._changed(name, {"password": password}, actor, "user.password")

    def password_of(self, name: str) -> str | None:
        """The hash of his password; None: he has none, is disabled, or is not there."""
        query = select(users.c.password).where(users.c.name == name, users.c.disabled_at.is_(None))
        return self.read(lambda connection: connection.scalar(query))

    def rehash_password(self, name: str, old: str, new: str) -> None:
        """Keep another hash of the same password, unless it was changed meanwhile."""
        same = (users.c.name == name) & (users.c.password == old)

        def writing(connection: Connection) -> None:
            connection.execute(users.update().where(same).values(password=new))

        self.write(writing)

    def add_project(self, name: str, pools: Sequence[str], *, actor: Actor) -> Project:
        """Raises Conflict."""

        def writing(connection: Connection) -> Project:
            if connection.execute(select(projects.c.name).where(projects.c.name == name)).first():
                raise Conflict(f"There is a project {name!r} already.")
            self._new_project(connection, name, pools)
            self.audit(connection, actor, "project.add", name, pools=list(pools))
            return find_project(connection, name)

        return self.deed(writing, done=lambda connection, _: find_project(connection, name))

    def require_project(self, name: str) -> None:
        """Raises NotFound for one that there is not."""
        if name != DEFAULT_PROJECT:
            self.read(lambda connection: find_project(connection, name))

    def project(self, name: str) -> Project | None:
        query = select(projects).where(projects.c.name == name)

        def reading(connection: Connection) -> Project | None:
            return find_project(connection, name) if connection.execute(query).first() else None

        return self.read(reading)

    def projects(self) -> list[Project]:
        """All of them, by their names."""

        def reading(connection: Connection) -> list[Project]:
            joined: dict[str, list[str]] = {}
            for each in connection.execute(select(members).order_by(members.c.user)):
                joined.setdefault(each.project, []).append(each.user)
            rows = connection.execute(select(projects).order_by(projects.c.name))
            return [_project(row, joined.get(row.name, ())) for row in rows]

        return self.read(reading)

    def set_pools(self, name: str, pools: Sequence[str], *, actor: Actor) -> Project:
        """The pools that artists of the project may submit to; none: every pool. Raises NotFound."""

        def writing(connection: Connection) -> Project:
            find_project(connection, name)
            connection.execute(projects.update().where(projects.c.name == name).values(pools=list(pools)))
            self.audit(connection, actor, "project.pools", name, pools=list(pools))
            return find_project(connection, name)

        return self.deed(writing)

    def join(self, name: str, whom: Iterable[str], *, actor: Actor) -> Project:
        """Make users members of a project. Raises NotFound."""

        def writing(connection: Connection) -> Project:
            for user in whom:
                self._join(connection, name, user)
            self.audit(connection, actor, "project.join", name, users=list(whom))
            return find_project(connection, name)

        return self.deed(writing)

    def part(self, name: str, whom: Iterable[str], *, actor: Actor) -> Project:
        """They are members no longer; what is theirs stays theirs. Raises NotFound."""

        def writing(connection: Connection) -> Project:
            project = find_project(connection, name)
            for user in whom:
                if user not in project.members:
                    hint = did_you_mean(user, list(project.members))
                    raise NotFound(f"{user!r} is no member of project {name}.", hint=hint)
                which = (members.c.project == name) & (members.c.user == user)
                connection.execute(members.delete().where(which))
            self.audit(connection, actor, "project.leave", name, users=list(whom))
            return find_project(connection, name)

        return self.deed(writing)

    def _join(self, connection: Connection, project: str, user: str) -> None:
        find_user(connection, user)
        if project == DEFAULT_PROJECT and not _is_project(connection, project):
            self._new_project(connection, project, ())
        if user not in find_project(connection, project).members:
            connection.execute(members.insert(), {"project": project, "user": user})

    def _new_project(self, connection: Connection, name: str, pools: Sequence[str]) -> None:
        row = {"name": name, "pools": list(pools), "created_at": self.now(connection)}
        connection.execute(projects.insert(), row)

    def _changed(self, name: str, changes: dict[str, Any], actor: Actor, action: str, **details: Any) -> User:
        def writing(connection: Connection) -> User:
            if "role" in changes or changes.get("disabled_at"):
                _lock_admins(connection)
            row = find_user(connection, name, alone=True)
            was_admin = row.role == Role.ADMIN and row.disabled_at is None
            values = {key: self.now(connection) if value is True else value for key, value in changes.items()}
            connection.execute(users.update().where(users.c.name == name).values(values))
            if was_admin and not count_admins(connection):
                raise Conflict(f"{name} is the last admin of the farm.", hint="Make somebody else an admin first.")
            if "password" in changes or changes.get("disabled_at"):
                connection.execute(web_sessions.delete().where(web_sessions.c.user == name))
                if actor.name != name:  # whoever changes their own has just shown the old one
                    connection.execute(known_origins.delete().where(known_origins.c.user == name))
            if changes.get("disabled_at"):
                details["paused_jobs"] = _pause_jobs(connection, name)
            self.audit(connection, actor, action, name, **details)
            return to_user(connection, find_user(connection, name))

        return self.deed(writing)


def find_user(connection: Connection, name: str, *, alone: bool = False) -> Row[Any]:
    """His row; `alone`: which nobody else changes now. Raises NotFound."""
    query = select(users).where(users.c.name == name)
    row = connection.execute(query.with_for_update() if alone else query).first()
    if row is None:
        known = list(connection.scalars(select(users.c.name).order_by(users.c.name)))
        hint = did_you_mean(name, known) or "`renderctl users add NAME` adds one."
        raise NotFound(f"There is no user {name!r}.", hint=hint)
    return row


def require_enabled(connection: Connection, actor: Actor) -> None:
    """Let nobody begin something who was disabled since they were let in. Raises TokenRefused.

    Whoever disables them waits for this transaction, and pauses what it has begun.
    """
    query = select(users.c.disabled_at).where(users.c.name == actor.name).with_for_update(read=True)
    if actor.via is not Via.LOCAL and connection.scalar(query) is not None:
        raise TokenRefused


def _pause_jobs(connection: Connection, owner: str) -> int:
    """Pause the open jobs of a user who is disabled; how many. Their running frames finish."""
    which = (jobs.c.owner == owner) & jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING))
    paused = {"state": JobState.PAUSED, "pause_reason": f"its owner, {owner}, was disabled"}
    return connection.execute(jobs.update().where(which).values(paused)).rowcount


def to_user(connection: Connection, row: Row[Any]) -> User:
    """A user with his projects."""
    query = select(members.c.project).where(members.c.user == row.name).order_by(members.c.project)
    return _user(row, connection.scalars(query).all())


def _user(row: Row[Any], joined: Sequence[str]) -> User:
    has_password = row.password is not None
    return User(row.name, Role(row.role), tuple(joined), row.created_at, row.disabled_at, has_password)


def find_project(connection: Connection, name: str) -> Project:
    """Raises NotFound."""
    row = connection.execute(select(projects).where(projects.c.name == name)).first()
    if row is None:
        known = list(connection.scalars(select(projects.c.name).order_by(projects.c.name)))
        hint = did_you_mean(name, known) or "`renderctl projects add NAME` adds one."
        raise NotFound(f"There is no project {name!r}.", hint=hint)
    joined = select(members.c.user).where(members.c.project == name).order_by(members.c.user)
    return _project(row, connection.scalars(joined).all())


def _project(row: Row[Any], joined: Sequence[str]) -> Project:
    return Project(row.name, tuple(row.pools), tuple(joined), row.created_at)


def _lock_admins(connection: Connection) -> None:
    """Have nobody else demote or disable an admin before this transaction ends.

    All rows in the order of their key: two who take an admin's rights at once wait for each other, and the second one
    counts what the first has left. Without it both would count the other's admin, who is one until the commit.
    """
    which = select(users.c.name).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
    connection.execute(which.order_by(users.c.name).with_for_update()).all()


def count_admins(connection: Connection) -> int:
    """How many admins could log in."""
    query = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
    return connection.scalar(query) or 0


def _is_project(connection: Connection, name: str) -> bool:
    return connection.execute(select(projects.c.name).where(projects.c.name == name)).first() is not None
