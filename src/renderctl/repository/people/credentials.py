"""What lets people in: tokens and log-ins. The database knows SHA-256s of them."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from renderctl.core.actors import Actor, Role, Scope, Via
from renderctl.core.errors import LoginRefused, NotFound, TokenRefused
from renderctl.core.ids import new_id
from renderctl.core.people import Token, WebSession
from renderctl.repository.people.invitations import Inviting
from renderctl.repository.people.login_attempts import LoginGuesses
from renderctl.repository.people.second_factors import SecondFactors
from renderctl.repository.people.users import find_user, to_user
from renderctl.repository.schema.people import tokens, totps, web_sessions

#: Between two notes of one token or session: in it when it was used, in the audit log that a token was refused.
_NOTE_EVERY = timedelta(seconds=60)


@dataclass(frozen=True)
class Shown:
    """What somebody has shown to be let in."""

    password: str | None = field(repr=False)  #: the hash that it was held against
    code: bool  #: whether there was a code of the second factor, too


class Admitting(Inviting, LoginGuesses, SecondFactors):
    """The doors of the farm."""

    def add_token(self, token: Token, digest: str, *, lasts_s: float | None, actor: Actor) -> Token:
        """Keep a token for a user, good for so many seconds. Raises NotFound."""

        def writing(connection: Connection) -> Token:
            find_user(connection, token.user)
            now = self.now(connection)
            ends = None if lasts_s is None else now + timedelta(seconds=lasts_s)
            row = {"id": token.id, "user": token.user, "name": token.name, "scope": token.scope, "digest": digest}
            connection.execute(tokens.insert(), row | {"created_at": now, "expires_at": ends})
            told = {"name": token.name, "scope": token.scope, "user": token.user}
            self.audit(connection, actor, "token.create", token.id, **told, expires_at=ends and ends.isoformat())
            return _token(connection, token.id)

        return self.deed(writing, done=lambda connection, _: _token(connection, token.id))

    def token(self, token_id: str) -> Token:
        """Raises NotFound."""
        return self.read(lambda connection: _token(connection, token_id))

    def token_of(self, digest: str) -> Token:
        """The token that has this digest. Raises NotFound."""
        query = select(tokens).where(tokens.c.digest == digest)
        row = self.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound("There is no such token.")
        return _to_token(row)

    def tokens(self, *, user: str | None = None) -> list[Token]:
        """The tokens, the newest first."""
        query = select(tokens).order_by(tokens.c.id.desc())
        if user is not None:
            query = query.where(tokens.c.user == user)
        return self.read(lambda connection: [_to_token(row) for row in connection.execute(query)])

    def revoke_token(self, token_id: str, *, actor: Actor) -> Token:
        """It is good for nothing any more, from now on. Raises NotFound."""

        def writing(connection: Connection) -> Token:
            token = _token(connection, token_id)
            if token.revoked_at is None:
                which = tokens.c.id == token_id
                connection.execute(tokens.update().where(which).values(revoked_at=self.now(connection)))
                self.audit(connection, actor, "token.revoke", token_id, name=token.name, user=token.user)
            return _token(connection, token_id)

        return self.deed(writing)

    def token_actor(self, digest: str, address: str | None) -> Actor:
        """Who holds the token. Raises TokenRefused, and tells the audit log of one that once was good."""

        def writing(connection: Connection) -> Actor | None:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            if row is None:
                return None
            now, who = self.now(connection), find_user(connection, row.user)
            actor = self._actor(connection, who, Via.TOKEN, address, Scope(row.scope))
            ended = row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now)
            refused = ended or who.disabled_at is not None
            seen = "refused_at" if refused else "used_at"
            if (noted := getattr(row, seen)) is None or now - noted >= _NOTE_EVERY:
                connection.execute(tokens.update().where(tokens.c.id == row.id).values({seen: now}))
                if refused:
                    why = "revoked" if row.revoked_at else "expired" if ended else "its user is disabled"
                    details = {"name": row.name, "why": why}
                    self.note_outcome(connection, actor, "token.use", row.id, outcome="refused", details=details)
            return None if refused else actor

        actor = self.write(writing)
        if actor is None:
            raise TokenRefused
        return actor

    def open_session(
        self, name: str, digest: str, csrf: str, *, lasts_s: float, address: str | None, shown: Shown | None = None
    ) -> Actor:
        """Somebody has logged in: the session that his browser holds from now on.

        Raises TokenRefused, and LoginRefused where what they have shown is not enough any more: whoever changes their
        password, or sets up a second factor, at this moment ends this log-in, too.
        """
        session_id = new_id()

        def opened(connection: Connection, who: Row[Any]) -> Actor:
            return replace(self._actor(connection, who, Via.SESSION, address), session=session_id)

        def writing(connection: Connection) -> Actor:
            now, who = self.now(connection), find_user(connection, name, alone=True)
            if who.disabled_at is not None:
                raise TokenRefused
            if shown is not None and not _is_enough(connection, who, shown):
                raise LoginRefused
            connection.execute(web_sessions.delete().where(web_sessions.c.expires_at <= now))
            row = {"digest": digest, "id": session_id, "user": name, "csrf": csrf, "address": address}
            times = {"created_at": now, "expires_at": now + timedelta(seconds=lasts_s)}
            connection.execute(web_sessions.insert(), row | times)
            actor = opened(connection, who)
            self.audit(connection, actor, "session.open", name, session=session_id)
            return actor

        return self.deed(writing, done=lambda connection, _: opened(connection, find_user(connection, name)))

    def session_actor(self, digest: str, address: str | None, *, idle_s: float | None = None) -> tuple[Actor, str]:
        """Whose session it is, and what their forms have to bring along against forgery. Raises TokenRefused.

        `idle_s`: seconds after which one has ended that nobody has used; it is known to the minute.
        """

        def reading(connection: Connection) -> tuple[Actor, str, bool]:
            now = self.now(connection)
            query = select(web_sessions).where(web_sessions.c.digest == digest, *_lasting(now, idle_s))
            if (row := connection.execute(query).first()) is None:
                raise TokenRefused
            who = find_user(connection, row.user)
            if who.disabled_at is not None:
                raise TokenRefused
            actor = replace(self._actor(connection, who, Via.SESSION, address), session=row.id)
            return actor, row.csrf, row.seen_at is None or now - row.seen_at >= _NOTE_EVERY

        def noting(connection: Connection) -> None:
            seen = {"seen_at": self.now(connection), "seen_from": address}
            connection.execute(web_sessions.update().where(web_sessions.c.digest == digest).values(seen))

        actor, csrf, is_due = self.read(reading)
        if is_due:
            self.write(noting)
        return actor, csrf

    def sessions(self, *, user: str | None = None, idle_s: float | None = None) -> list[WebSession]:
        """The sessions that somebody holds, the newest first; none that was not used for `idle_s` seconds."""
        query = select(web_sessions).order_by(web_sessions.c.id.desc())
        if user is not None:
            query = query.where(web_sessions.c.user == user)

        def reading(connection: Connection) -> list[WebSession]:
            return _sessions(connection, query.where(*_lasting(self.now(connection), idle_s)))

        return self.read(reading)

    def session(self, session_id: str) -> WebSession:
        """Raises NotFound."""
        query = select(web_sessions).where(web_sessions.c.id == session_id)
        found = self.read(lambda connection: _sessions(connection, query.where(*_lasting(self.now(connection)))))
        if not found:
            raise NotFound(f"There is no session {session_id!r}.")
        return found[0]

    def end_session(self, digest: str, *, actor: Actor) -> None:
        """He logs out."""
        self._log_out(actor.name, web_sessions.c.digest == digest, actor)

    def end_sessions(self, user: str, session_id: str | None = None, *, actor: Actor) -> list[WebSession]:
        """End one session of a user, or all of his but the one that the actor came by. Raises NotFound for no user."""
        chosen = web_sessions.c.id == session_id if session_id else web_sessions.c.id.is_distinct_from(actor.session)
        return self._log_out(user, (web_sessions.c.user == user) & chosen, actor)

    def _log_out(self, user: str, which: ColumnElement[bool], actor: Actor) -> list[WebSession]:
        ended: list[WebSession] = []

        def writing(connection: Connection) -> list[WebSession]:
            find_user(connection, user)
            query = select(web_sessions).where(which, *_lasting(self.now(connection)))
            ended[:] = _sessions(connection, query.order_by(web_sessions.c.id.desc()))
            ids = [each.id for each in ended]
            if ids:
                connection.execute(web_sessions.delete().where(web_sessions.c.id.in_(ids)))
                self.audit(connection, actor, "session.end", user, sessions=ids)
            return ended

        return self.deed(writing, done=lambda _connection, _audit: ended)

    def _actor(
        self, connection: Connection, who: Row[Any], via: Via, address: str | None, scope: Scope = Scope.ALL
    ) -> Actor:
        joined = frozenset(to_user(connection, who).projects)
        return Actor(who.name, "user", Role(who.role), joined, via, address, scope)


def _lasting(now: datetime, idle_s: float | None = None) -> tuple[ColumnElement[bool], ...]:
    """Of sessions that somebody holds still, and has used within the last `idle_s` seconds."""
    lasting = web_sessions.c.id.is_not(None), web_sessions.c.expires_at > now
    if idle_s is None:
        return lasting
    return *lasting, func.coalesce(web_sessions.c.seen_at, web_sessions.c.created_at) > now - timedelta(seconds=idle_s)


def _sessions(connection: Connection, query: Select[Any]) -> list[WebSession]:
    names = [each.name for each in fields(WebSession) if each.name in web_sessions.c]
    return [WebSession(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]


def _is_enough(connection: Connection, who: Row[Any], shown: Shown) -> bool:
    """Whether it still lets somebody in, whose row nobody else changes now."""
    if who.password != shown.password:
        return False
    confirmed = select(totps.c.confirmed_at).where(totps.c.user == who.name, totps.c.confirmed_at.is_not(None))
    return shown.code or connection.execute(confirmed.with_for_update(read=True)).first() is None


def _token(connection: Connection, token_id: str) -> Token:
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
    if row is None:
        raise NotFound(f"There is no token {token_id!r}.")
    return _to_token(row)


def _to_token(row: Row[Any]) -> Token:
    scope = Scope(row.scope)
    return Token(row.id, row.user, row.name, scope, row.created_at, row.expires_at, row.revoked_at, row.used_at)
