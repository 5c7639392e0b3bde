"""Projects and their members."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, NotFound, did_you_mean
from renderctl.core.people import DEFAULT_PROJECT, Project
from renderctl.repository.database import Part, add_audit_entry, durable_write, read
from renderctl.repository.people.rows import (
    add_member,
    find_project,
    insert_project,
    project_of_row,
)
from renderctl.repository.schema.people import members, projects


class Projects(Part):
    """The projects of the farm."""

    def add(self, name: str, pools: Sequence[str], *, actor: Actor) -> Project:
        """Add a project. Raises Conflict."""

        def writing(connection: Connection) -> Project:
            if connection.execute(select(projects.c.name).where(projects.c.name == name)).first():
                raise Conflict(f"There is a project {name!r} already.")
            insert_project(connection, name, pools)
            add_audit_entry(connection, actor, "project.add", name, pools=list(pools))
            return find_project(connection, name)

        return self._database.durable_write(writing, recover=lambda connection, _: find_project(connection, name))

    def require(self, name: str) -> None:
        """Raise NotFound if there is no such project."""
        if name != DEFAULT_PROJECT:
            self._database.read(lambda connection: find_project(connection, name))

    @read
    def find(self, connection: Connection, name: str) -> Project | None:
        """Return a project by its name, or None."""
        query = select(projects).where(projects.c.name == name)
        return find_project(connection, name) if connection.execute(query).first() else None

    @read
    def all(self, connection: Connection) -> list[Project]:
        """Return all projects by name."""
        members_of: dict[str, list[str]] = {}
        for member in connection.execute(select(members).order_by(members.c.user)):
            members_of.setdefault(member.project, []).append(member.user)
        rows = connection.execute(select(projects).order_by(projects.c.name))
        return [project_of_row(row, members_of.get(row.name, ())) for row in rows]

    @durable_write
    def set_pools(self, connection: Connection, name: str, pools: Sequence[str], *, actor: Actor) -> Project:
        """Set the pools that artists of the project may submit to; none: every pool. Raises NotFound."""
        find_project(connection, name)
        connection.execute(projects.update().where(projects.c.name == name).values(pools=list(pools)))
        add_audit_entry(connection, actor, "project.pools", name, pools=list(pools))
        return find_project(connection, name)

    @durable_write
    def add_members(self, connection: Connection, name: str, user_names: Collection[str], *, actor: Actor) -> Project:
        """Make users members of a project. Raises NotFound."""
        for user in user_names:
            add_member(connection, name, user)
        add_audit_entry(connection, actor, "project.join", name, users=list(user_names))
        return find_project(connection, name)

    @durable_write
    def remove_members(
        self, connection: Connection, name: str, user_names: Collection[str], *, actor: Actor
    ) -> Project:
        """Remove members from a project; what they own stays theirs. Raises NotFound."""
        project = find_project(connection, name)
        for user in user_names:
            if user not in project.members:
                hint = did_you_mean(user, list(project.members))
                raise NotFound(f"{user!r} is no member of project {name}.", hint=hint)
            which = (members.c.project == name) & (members.c.user == user)
            connection.execute(members.delete().where(which))
        add_audit_entry(connection, actor, "project.leave", name, users=list(user_names))
        return find_project(connection, name)
