"""What lets people in: tokens and log-ins. The database knows SHA-256s of them; and it counts guesses."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from renderctl.actors import Actor, Role, Scope, Via
from renderctl.errors import NotFound, TokenRefused
from renderctl.people import Token
from renderctl.repository.enrolling import find_user, to_user
from renderctl.repository.inviting import Inviting
from renderctl.repository.peopletables import guesses, tokens, web_sessions

#: Seconds between two notes of one token: in it when it was used, in the audit log that it was refused.
_NOTE_EVERY = timedelta(seconds=60)
#: After so long without another one a wrong password is forgotten; and the longest wait for the next.
_FORGET = timedelta(hours=1)
_LONGEST_WAIT_S = 900.0


class Admitting(Inviting):
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

    def open_session(self, name: str, digest: str, csrf: str, *, lasts_s: float, address: str | None) -> Actor:
        """Somebody has logged in: the session that his browser holds from now on. Raises TokenRefused."""

        def writing(connection: Connection) -> Actor:
            now, who = self.now(connection), find_user(connection, name)
            if who.disabled_at is not None:
                raise TokenRefused
            connection.execute(web_sessions.delete().where(web_sessions.c.expires_at <= now))
            row = {"digest": digest, "user": name, "csrf": csrf, "address": address, "created_at": now}
            connection.execute(web_sessions.insert(), row | {"expires_at": now + timedelta(seconds=lasts_s)})
            actor = self._actor(connection, who, Via.SESSION, address)
            self.audit(connection, actor, "session.open", name)
            return actor

        return self.deed(writing)

    def session_actor(self, digest: str, address: str | None) -> tuple[Actor, str]:
        """Whose session it is, and what his forms have to bring along against forgery. Raises TokenRefused."""

        def reading(connection: Connection) -> tuple[Actor, str]:
            row = connection.execute(select(web_sessions).where(web_sessions.c.digest == digest)).first()
            if row is None or row.expires_at <= self.now(connection):
                raise TokenRefused
            who = find_user(connection, row.user)
            if who.disabled_at is not None:
                raise TokenRefused
            return self._actor(connection, who, Via.SESSION, address), row.csrf

        return self.read(reading)

    def end_session(self, digest: str, *, actor: Actor) -> None:
        """He logs out."""

        def writing(connection: Connection) -> None:
            connection.execute(web_sessions.delete().where(web_sessions.c.digest == digest))
            self.audit(connection, actor, "session.end", actor.name)

        self.deed(writing)

    def count_guess(self, whose: dict[str, int]) -> float:
        """A password is shown: whether for any of these there were more than so many wrong ones of late.

        Counted as wrong before the password is looked at, so that many at once are no way around it. Returns the
        seconds to wait before the next one; 0: go on.
        """

        def writing(connection: Connection) -> float:
            now, wait_s = self.now(connection), 0.0
            known = {row.whose: row for row in connection.execute(_guesses_of(whose))}
            for each, free in whose.items():
                row = known.get(each)
                if row is not None and now - row.last_at < _FORGET and row.failures >= free:
                    pause_s = min(_LONGEST_WAIT_S, 2.0 ** min(row.failures - free, 10))
                    wait_s = max(wait_s, pause_s - (now - row.last_at).total_seconds())
            if wait_s > 0:
                return wait_s
            for each in sorted(whose):
                row = known.get(each)
                stale = row is None or now - row.last_at >= _FORGET
                count = 1 if row is None or stale else row.failures + 1
                values = {"failures": count, "last_at": now}
                if row is None:
                    connection.execute(guesses.insert(), {"whose": each, **values})
                else:
                    connection.execute(guesses.update().where(guesses.c.whose == each).values(values))
            connection.execute(guesses.delete().where(guesses.c.last_at < now - _FORGET))
            return 0.0

        return self.write(writing)

    def forgive_guesses(self, whose: Sequence[str], *, but_one: Sequence[str] = ()) -> None:
        """The password was right: nothing is held against these; of `but_one` the last attempt alone is forgiven."""

        def writing(connection: Connection) -> None:
            connection.execute(guesses.delete().where(guesses.c.whose.in_(list(whose))))
            less = {"failures": guesses.c.failures - 1}
            connection.execute(guesses.update().where(guesses.c.whose.in_(list(but_one))).values(less))

        self.write(writing)

    def note_guess(self, actor: Actor, action: str, subject: str, why: str) -> None:
        """Tell the audit log of what was refused because a password was wrong."""

        def writing(connection: Connection) -> None:
            self.note_outcome(connection, actor, action, subject, outcome="refused", details={"why": why})

        self.write(writing)

    def _actor(
        self, connection: Connection, who: Row[Any], via: Via, address: str | None, scope: Scope = Scope.ALL
    ) -> Actor:
        joined = frozenset(to_user(connection, who).projects)
        return Actor(who.name, "user", Role(who.role), joined, via, address, scope)


def _guesses_of(whose: dict[str, int]) -> Any:
    return select(guesses).where(guesses.c.whose.in_(sorted(whose))).order_by(guesses.c.whose).with_for_update()


def _token(connection: Connection, token_id: str) -> Token:
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
    if row is None:
        raise NotFound(f"There is no token {token_id!r}.")
    return _to_token(row)


def _to_token(row: Row[Any]) -> Token:
    scope = Scope(row.scope)
    return Token(row.id, row.user, row.name, scope, row.created_at, row.expires_at, row.revoked_at, row.used_at)
