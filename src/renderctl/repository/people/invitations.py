"""Invitations, with which people become users by themselves. The database has only SHA-256s of their codes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.errors import Conflict, InvitationRefused, NotFound
from renderctl.core.ids import new_id
from renderctl.core.people import Invitation
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read
from renderctl.repository.people.users import enroll
from renderctl.repository.schema.people import invitations


class Invitations(Part):
    """Invitations to the farm."""

    def add(self, digest: str, role: Role, project_names: Sequence[str], *, lasts_s: float, actor: Actor) -> Invitation:
        """Invite whoever has the code with this digest to become a user, within `lasts_s` seconds."""
        invitation_id = new_id()

        def writing(connection: Connection) -> Invitation:
            now = db_now(connection)
            row = {"id": invitation_id, "digest": digest, "role": role, "projects": list(project_names)}
            ends = now + timedelta(seconds=lasts_s)
            connection.execute(
                invitations.insert(), row | {"created_by": actor.name, "created_at": now, "expires_at": ends}
            )
            add_audit_entry(connection, actor, "user.invite", invitation_id, role=role, projects=list(project_names))
            return _to_invitation(_find(connection, invitation_id))

        return self._database.durable_write(
            writing, recover=lambda connection, _: _to_invitation(_find(connection, invitation_id))
        )

    @read
    def open(self, connection: Connection) -> list[Invitation]:
        """Return the invitations that can be used, the newest first."""
        now, query = db_now(connection), select(invitations).order_by(invitations.c.id.desc())
        query = query.where(invitations.c.used_by.is_(None))
        return [_to_invitation(row) for row in connection.execute(query) if _is_open(row, now)]

    @durable_write
    def withdraw(self, connection: Connection, invitation_id: str, *, actor: Actor) -> Invitation:
        """Make an invitation invalid. Raises NotFound, Conflict if it was used."""
        row = _find(connection, invitation_id, lock=True)
        if row.used_by is not None:
            hint = f"`renderctl users disable {row.used_by}` locks them out."
            raise Conflict(f"The invitation {invitation_id} was used: by {row.used_by}.", hint=hint)
        if row.withdrawn_at is None:
            withdrawn = {"withdrawn_at": db_now(connection)}
            connection.execute(invitations.update().where(invitations.c.id == invitation_id).values(withdrawn))
            details = {"role": row.role, "projects": row.projects, "created_by": row.created_by}
            add_audit_entry(connection, actor, "invitation.withdraw", invitation_id, **details)
        return _to_invitation(_find(connection, invitation_id))

    def require(self, digest: str) -> None:
        """Raise InvitationRefused if the code is not valid now."""

        def reading(connection: Connection) -> bool:
            row = connection.execute(select(invitations).where(invitations.c.digest == digest)).first()
            return row is not None and _is_open(row, db_now(connection))

        if not self._database.read(reading):
            raise InvitationRefused

    @durable_write
    def accept(self, connection: Connection, digest: str, name: str, password: str, *, address: str | None) -> Actor:
        """Add the invited user with the hash of a password. Raises InvitationRefused, Conflict if the name is taken."""
        row = connection.execute(select(invitations).where(invitations.c.digest == digest).with_for_update()).first()
        if row is None or not _is_open(row, db_now(connection)):
            raise InvitationRefused
        actor = Actor(name, role=Role(row.role), projects=frozenset(row.projects), via=Via.SESSION, address=address)
        enroll(connection, name, Role(row.role), row.projects, password=password, actor=actor)
        connection.execute(invitations.update().where(invitations.c.id == row.id).values(used_by=name))
        return actor


def _is_open(row: Row[Any], now: datetime) -> bool:
    """Whether the invitation can be used."""
    return row.used_by is None and row.withdrawn_at is None and row.expires_at > now


def _find(connection: Connection, invitation_id: str, *, lock: bool = False) -> Row[Any]:
    """Return the row; `lock`: and lock it. Raises NotFound."""
    query = select(invitations).where(invitations.c.id == invitation_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound(f"There is no invitation {invitation_id!r}.", hint="`renderctl users invitations` lists them.")
    return row


def _to_invitation(row: Row[Any]) -> Invitation:
    role, project_names = Role(row.role), tuple(row.projects)
    return Invitation(row.id, role, project_names, row.created_by, row.expires_at, row.used_by, row.withdrawn_at)
