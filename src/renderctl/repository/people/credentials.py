"""What lets people in: tokens and log-ins. The database knows SHA-256s of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, bindparam, func, or_, select

from renderctl.core.actors import Actor, Role, Scope, Via
from renderctl.core.errors import LoginRefused, NotFound, TokenRefused
from renderctl.core.ids import new_id
from renderctl.core.people import SessionUse, Token, TokenUse, WebSession
from renderctl.repository.people.invitations import Inviting
from renderctl.repository.people.login_attempts import LoginGuesses
from renderctl.repository.people.second_factors import SecondFactors
from renderctl.repository.people.users import find_user, to_user
from renderctl.repository.schema.jobs import UtcTime
from renderctl.repository.schema.people import tokens, totps, web_sessions

#: Between two entries of the audit log that say that a token was refused.
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

    def check_token(self, digest: str, address: str | None) -> TokenUse:
        """Who holds the token. It writes nothing: `note_uses` keeps when tokens and sessions were used.

        Raises TokenRefused. The audit log gets an entry for a token that was valid once, at most one a minute.
        """

        def reading(connection: Connection) -> tuple[TokenUse, str | None, bool] | None:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            if row is None:
                return None
            now, user = self.now(connection), find_user(connection, row.user)
            actor = self._actor(connection, user, Via.TOKEN, address, Scope(row.scope))
            is_due = row.refused_at is None or now - row.refused_at >= _NOTE_EVERY
            return TokenUse(actor, row.id, now), _why_refused(row, user, now), is_due

        checked = self.read(reading)
        if checked is None:
            raise TokenRefused
        use, why, is_due = checked
        if why is None:
            return use
        if is_due:
            self._note_refused_token(use, why)
        raise TokenRefused

    def _note_refused_token(self, use: TokenUse, why: str) -> None:
        def writing(connection: Connection) -> None:
            now = self.now(connection)
            due = or_(tokens.c.refused_at.is_(None), tokens.c.refused_at <= now - _NOTE_EVERY)
            noted = tokens.update().where(tokens.c.id == use.token_id, due).values(refused_at=now)
            if connection.execute(noted).rowcount:
                details = {"name": _token(connection, use.token_id).name, "why": why}
                self.note_outcome(connection, use.actor, "token.use", use.token_id, outcome="refused", details=details)

        self.write(writing)

    def note_uses(
        self, tokens_used: Mapping[str, datetime], sessions_used: Mapping[str, tuple[datetime, str | None]]
    ) -> None:
        """Keep when tokens (by id) and sessions (by digest) were last used, and from which address a session was.

        One transaction for all of them. A later time that another server has written stays.
        """
        token_rows = [{"key": key, "at": at} for key, at in sorted(tokens_used.items())]
        session_rows = [
            {"key": key, "at": at, "seen_from": place} for key, (at, place) in sorted(sessions_used.items())
        ]
        key: BindParameter[str] = bindparam("key")
        at: BindParameter[datetime] = bindparam("at", type_=UtcTime)

        def writing(connection: Connection) -> None:
            if token_rows:
                is_later = or_(tokens.c.used_at.is_(None), tokens.c.used_at < at)
                connection.execute(tokens.update().where(tokens.c.id == key, is_later).values(used_at=at), token_rows)
            if session_rows:
                is_later = or_(web_sessions.c.seen_at.is_(None), web_sessions.c.seen_at < at)
                seen = {"seen_at": at, "seen_from": bindparam("seen_from")}
                update = web_sessions.update().where(web_sessions.c.digest == key, is_later).values(seen)
                connection.execute(update, session_rows)

        self.write(writing)

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

    def check_session(
        self, digest: str, address: str | None, *, idle_s: float | None = None, seen_at: datetime | None = None
    ) -> SessionUse:
        """Whose session it is, and the CSRF token of their forms. It writes nothing. Raises TokenRefused.

        `idle_s`: seconds without use after which a session has ended; `seen_at`: a use that `note_uses` has yet to get.
        """

        def reading(connection: Connection) -> SessionUse:
            now = self.now(connection)
            query = select(web_sessions).where(web_sessions.c.digest == digest, *_lasting(now))
            row = connection.execute(query).first()
            if row is None or _is_idle(row, now, idle_s, seen_at):
                raise TokenRefused
            user = find_user(connection, row.user)
            if user.disabled_at is not None:
                raise TokenRefused
            actor = replace(self._actor(connection, user, Via.SESSION, address), session=row.id)
            return SessionUse(actor, row.csrf, now)

        return self.read(reading)

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


def _why_refused(token: Row[Any], user: Row[Any], now: datetime) -> str | None:
    """Why a token is not valid; None: it is."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "its user is disabled" if user.disabled_at is not None else None


def _is_idle(session: Row[Any], now: datetime, idle_s: float | None, seen_at: datetime | None) -> bool:
    if idle_s is None:
        return False
    last = max(filter(None, (session.seen_at, session.created_at, seen_at)))
    return bool(last <= now - timedelta(seconds=idle_s))


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
