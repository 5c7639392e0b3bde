"""Rows of users and projects: found, added, converted to the core's objects."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from renderctl.core.actors import Actor, Role, Scope, Via
from renderctl.core.errors import NotFound, did_you_mean
from renderctl.core.people import DEFAULT_PROJECT, Project, User
from renderctl.repository.database import db_now
from renderctl.repository.schema.people import members, projects, users


def find_user(connection: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    """Return the row of a user; `lock`: and lock it. Raises NotFound."""
    query = select(users).where(users.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        known = list(connection.scalars(select(users.c.name).order_by(users.c.name)))
        hint = did_you_mean(name, known) or "`renderctl users add NAME` adds one."
        raise NotFound(f"There is no user {name!r}.", hint=hint)
    return row


def to_user(connection: Connection, row: Row[Any]) -> User:
    """Return the user of a row, with their projects."""
    query = select(members.c.project).where(members.c.user == row.name).order_by(members.c.project)
    return user_of_row(row, connection.scalars(query).all())


def user_of_row(row: Row[Any], projects: Sequence[str]) -> User:
    has_password = row.password is not None
    return User(row.name, Role(row.role), tuple(projects), row.created_at, row.disabled_at, has_password)


def find_project(connection: Connection, name: str) -> Project:
    """Return a project with its members. Raises NotFound."""
    row = connection.execute(select(projects).where(projects.c.name == name)).first()
    if row is None:
        known = list(connection.scalars(select(projects.c.name).order_by(projects.c.name)))
        hint = did_you_mean(name, known) or "`renderctl projects add NAME` adds one."
        raise NotFound(f"There is no project {name!r}.", hint=hint)
    joined = select(members.c.user).where(members.c.project == name).order_by(members.c.user)
    return project_of_row(row, connection.scalars(joined).all())


def project_of_row(row: Row[Any], members: Sequence[str]) -> Project:
    return Project(row.name, tuple(row.pools), tuple(members), row.created_at)


def add_member(connection: Connection, project: str, user: str) -> None:
    """Make a user a member of a project, unless they are. Raises NotFound."""
    find_user(connection, user)
    if project == DEFAULT_PROJECT and not _is_project(connection, project):
        insert_project(connection, project, ())
    if user not in find_project(connection, project).members:
        connection.execute(members.insert(), {"project": project, "user": user})


def insert_project(connection: Connection, name: str, pools: Sequence[str]) -> None:
    row = {"name": name, "pools": list(pools), "created_at": db_now(connection)}
    connection.execute(projects.insert(), row)


def _is_project(connection: Connection, name: str) -> bool:
    return connection.execute(select(projects.c.name).where(projects.c.name == name)).first() is not None


def to_actor(connection: Connection, user: Row[Any], via: Via, address: str | None, scope: Scope = Scope.ALL) -> Actor:
    """Return the actor that acts for a user."""
    projects = frozenset(to_user(connection, user).projects)
    return Actor(user.name, "user", Role(user.role), projects, via, address, scope)
