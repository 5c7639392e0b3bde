"""Sessions of the browsers of people who have logged in. The database has only SHA-256s of their secrets."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from renderctl.core.actors import Actor, Via
from renderctl.core.errors import LoginRefused, NotFound, TokenRefused
from renderctl.core.ids import new_id
from renderctl.core.people import SessionUse, ShownCredentials, WebSession
from renderctl.repository.database import Part, add_audit_entry, db_now, read
from renderctl.repository.people.rows import find_user, to_actor
from renderctl.repository.schema.people import totps, web_sessions


class Sessions(Part):
    """The sessions of users."""

    def open(
        self,
        name: str,
        digest: str,
        csrf: str,
        *,
        lasts_s: float,
        address: str | None,
        shown: ShownCredentials | None = None,
    ) -> Actor:
        """Open a session for a user who has logged in; return the actor of the session.

        Raises TokenRefused if they are disabled, and LoginRefused if what they have `shown` is no longer enough:
        whoever changes the password, or sets up a second factor, at this moment ends this log-in, too.
        """
        session_id = new_id()

        def opened(connection: Connection, user: Row[Any]) -> Actor:
            return replace(to_actor(connection, user, Via.SESSION, address), session=session_id)

        def writing(connection: Connection) -> Actor:
            now, user = db_now(connection), find_user(connection, name, lock=True)
            if user.disabled_at is not None:
                raise TokenRefused
            if shown is not None and not _is_enough(connection, user, shown):
                raise LoginRefused
            connection.execute(web_sessions.delete().where(web_sessions.c.expires_at <= now))
            row = {"digest": digest, "id": session_id, "user": name, "csrf": csrf, "address": address}
            times = {"created_at": now, "expires_at": now + timedelta(seconds=lasts_s)}
            connection.execute(web_sessions.insert(), row | times)
            actor = opened(connection, user)
            add_audit_entry(connection, actor, "session.open", name, session=session_id)
            return actor

        return self._database.durable_write(
            writing, recover=lambda connection, _: opened(connection, find_user(connection, name))
        )

    @read
    def authenticate(
        self,
        connection: Connection,
        digest: str,
        address: str | None,
        *,
        idle_s: float | None = None,
        seen_at: datetime | None = None,
    ) -> SessionUse:
        """Return the user of a session and the CSRF token of its forms, without writing anything. Raises TokenRefused.

        `idle_s`: seconds without use after which a session has ended. `seen_at`: a use that is not recorded yet.
        """
        now = db_now(connection)
        query = select(web_sessions).where(web_sessions.c.digest == digest, *_lasting(now))
        row = connection.execute(query).first()
        if row is None or _is_idle(row, now, idle_s, seen_at):
            raise TokenRefused
        user = find_user(connection, row.user)
        if user.disabled_at is not None:
            raise TokenRefused
        actor = replace(to_actor(connection, user, Via.SESSION, address), session=row.id)
        return SessionUse(actor, row.csrf, now)

    @read
    def all(self, connection: Connection, *, user: str | None = None, idle_s: float | None = None) -> list[WebSession]:
        """Return the open sessions, the newest first, without those that were not used for `idle_s` seconds."""
        query = select(web_sessions).order_by(web_sessions.c.id.desc())
        if user is not None:
            query = query.where(web_sessions.c.user == user)
        return _sessions(connection, query.where(*_lasting(db_now(connection), idle_s)))

    def get(self, session_id: str) -> WebSession:
        """Return the open session with this id. Raises NotFound."""
        query = select(web_sessions).where(web_sessions.c.id == session_id)
        sessions = self._database.read(
            lambda connection: _sessions(connection, query.where(*_lasting(db_now(connection))))
        )
        if not sessions:
            raise NotFound(f"There is no session {session_id!r}.")
        return sessions[0]

    def end_by_digest(self, digest: str, *, actor: Actor) -> None:
        """End the session with this digest: its user logs out."""
        self._log_out(actor.name, web_sessions.c.digest == digest, actor)

    def end(self, user: str, session_id: str | None = None, *, actor: Actor) -> list[WebSession]:
        """End a session of a user, or all but the actor's own; return those that have ended. Raises NotFound for no
        user.
        """
        chosen = web_sessions.c.id == session_id if session_id else web_sessions.c.id.is_distinct_from(actor.session)
        return self._log_out(user, (web_sessions.c.user == user) & chosen, actor)

    def _log_out(self, user: str, which: ColumnElement[bool], actor: Actor) -> list[WebSession]:
        ended: list[WebSession] = []

        def writing(connection: Connection) -> list[WebSession]:
            find_user(connection, user)
            query = select(web_sessions).where(which, *_lasting(db_now(connection)))
            ended[:] = _sessions(connection, query.order_by(web_sessions.c.id.desc()))
            ids = [session.id for session in ended]
            if ids:
                connection.execute(web_sessions.delete().where(web_sessions.c.id.in_(ids)))
                add_audit_entry(connection, actor, "session.end", user, sessions=ids)
            return ended

        return self._database.durable_write(writing, recover=lambda _connection, _audit: ended)


def _is_idle(session: Row[Any], now: datetime, idle_s: float | None, seen_at: datetime | None) -> bool:
    if idle_s is None:
        return False
    last = max(filter(None, (session.seen_at, session.created_at, seen_at)))
    return bool(last <= now - timedelta(seconds=idle_s))


def _lasting(now: datetime, idle_s: float | None = None) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of open sessions that were used within the last `idle_s` seconds."""
    lasting = web_sessions.c.id.is_not(None), web_sessions.c.expires_at > now
    if idle_s is None:
        return lasting
    return *lasting, func.coalesce(web_sessions.c.seen_at, web_sessions.c.created_at) > now - timedelta(seconds=idle_s)


def _sessions(connection: Connection, query: Select[Any]) -> list[WebSession]:
    names = [column.name for column in fields(WebSession) if column.name in web_sessions.c]
    return [WebSession(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]


def _is_enough(connection: Connection, user: Row[Any], shown: ShownCredentials) -> bool:
    """Whether what was shown lets in the user, whose row is locked."""
    if user.password != shown.password:
        return False
    confirmed = select(totps.c.confirmed_at).where(totps.c.user == user.name, totps.c.confirmed_at.is_not(None))
    return shown.code or connection.execute(confirmed.with_for_update(read=True)).first() is None
