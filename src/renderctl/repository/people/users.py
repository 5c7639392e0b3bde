"""Users."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from renderctl.core.actors import Actor, Role
from renderctl.core.errors import Conflict
from renderctl.core.people import User
from renderctl.core.states import JobState
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read, write
from renderctl.repository.people.rows import add_member, find_user, to_user, user_of_row
from renderctl.repository.schema.jobs import jobs
from renderctl.repository.schema.people import known_origins, members, users, web_sessions


class Users(Part):
    """The users of the farm."""

    def add(
        self,
        name: str,
        role: Role,
        project_names: Sequence[str],
        *,
        password: str | None,
        actor: Actor,
        first: bool = False,
    ) -> User:
        """Add a user with the hash of a password, a member of projects. Raises Conflict, NotFound.

        `first`: only if the farm has no admin.
        """

        def writing(connection: Connection) -> User:
            if first and count_admins(connection):
                raise Conflict("The farm has an admin already.", hint="`renderctl users add NAME --role admin`.")
            return enroll(connection, name, role, project_names, password=password, actor=actor)

        return self._database.durable_write(
            writing, recover=lambda connection, _: to_user(connection, find_user(connection, name))
        )

    @read
    def get(self, connection: Connection, name: str) -> User:
        """Return a user by their name. Raises NotFound."""
        return to_user(connection, find_user(connection, name))

    @read
    def all(self, connection: Connection) -> list[User]:
        """Return all users by name."""
        rows = connection.execute(select(users).order_by(users.c.name)).all()
        projects_of: dict[str, list[str]] = {}
        for member in connection.execute(select(members).order_by(members.c.project)):
            projects_of.setdefault(member.user, []).append(member.project)
        return [user_of_row(row, projects_of.get(row.name, ())) for row in rows]

    def set_role(self, name: str, role: Role, *, actor: Actor) -> User:
        """Set the role of a user, which counts at once. Raises NotFound, Conflict for the last admin."""
        return self._changed(name, {"role": role}, actor, "user.role", role=role)

    def disable(self, name: str, *, actor: Actor) -> User:
        """Disable a user: no password or token lets them in, and their open jobs pause after their running frames.

        Raises NotFound, Conflict for the last admin.
        """
        return self._changed(name, {"disabled_at": True}, actor, "user.disable")

    def enable(self, name: str, *, actor: Actor) -> User:
        """Enable a user. Raises NotFound."""
        return self._changed(name, {"disabled_at": None}, actor, "user.enable")

    def set_password(self, name: str, password: str, *, actor: Actor) -> User:
        """Set the hash of a new password, and end the user's sessions. Raises NotFound."""
        return self._changed(name, {"password": password}, actor, "user.password")

    @read
    def password_hash(self, connection: Connection, name: str) -> str | None:
        """Return the hash of the user's password; None: they have none, are disabled, or do not exist."""
        query = select(users.c.password).where(users.c.name == name, users.c.disabled_at.is_(None))
        return connection.scalar(query)

    @write
    def rehash_password(self, connection: Connection, name: str, old: str, new: str) -> None:
        """Store another hash of the same password, unless it was changed meanwhile."""
        same = (users.c.name == name) & (users.c.password == old)
        connection.execute(users.update().where(same).values(password=new))

    @durable_write
    def _changed(
        self, connection: Connection, /, name: str, changes: dict[str, Any], actor: Actor, action: str, **details: Any
    ) -> User:
        if "role" in changes or changes.get("disabled_at"):
            _lock_admins(connection)
        row = find_user(connection, name, lock=True)
        was_admin = row.role == Role.ADMIN and row.disabled_at is None
        values = {key: db_now(connection) if value is True else value for key, value in changes.items()}
        connection.execute(users.update().where(users.c.name == name).values(values))
        if was_admin and not count_admins(connection):
            raise Conflict(f"{name} is the last admin of the farm.", hint="Make somebody else an admin first.")
        if "password" in changes or changes.get("disabled_at"):
            connection.execute(web_sessions.delete().where(web_sessions.c.user == name))
            if actor.name != name:  # users who change their own password have just shown the old one
                connection.execute(known_origins.delete().where(known_origins.c.user == name))
        if changes.get("disabled_at"):
            details["paused_jobs"] = _pause_jobs(connection, name)
        add_audit_entry(connection, actor, action, name, **details)
        return to_user(connection, find_user(connection, name))


def enroll(
    connection: Connection,
    name: str,
    role: Role,
    project_names: Sequence[str],
    *,
    password: str | None,
    actor: Actor,
) -> User:
    """Add a user with the hash of a password, a member of projects. Raises Conflict, NotFound."""
    if connection.execute(select(users.c.name).where(users.c.name == name)).first():
        raise Conflict(f"There is a user {name!r} already.")
    row = {"name": name, "role": role, "password": password, "created_at": db_now(connection)}
    connection.execute(users.insert(), row)
    for project in dict.fromkeys(project_names):
        add_member(connection, project, name)
    add_audit_entry(connection, actor, "user.add", name, role=role, projects=list(project_names))
    return to_user(connection, find_user(connection, name))


def _pause_jobs(connection: Connection, owner: str) -> int:
    """Pause the open jobs of a user after their running frames; return how many."""
    which = (jobs.c.owner == owner) & jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING))
    paused = {"state": JobState.PAUSED, "pause_reason": f"its owner, {owner}, was disabled"}
    return connection.execute(jobs.update().where(which).values(paused)).rowcount


def _lock_admins(connection: Connection) -> None:
    """Prevent others from demoting or disabling an admin until the transaction ends.

    All rows are locked in the order of their key: two who take an admin's rights at once wait for each other, and the
    second one counts what the first has left. Without it both would count the other's admin, who is one until the
    commit.
    """
    which = select(users.c.name).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
    connection.execute(which.order_by(users.c.name).with_for_update()).all()


def count_admins(connection: Connection) -> int:
    """Return how many admins can log in."""
    query = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
    return connection.scalar(query) or 0
