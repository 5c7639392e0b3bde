"""Tokens. The database has only their SHA-256s."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from renderctl.core.actors import Actor, Scope, Via
from renderctl.core.errors import NotFound, TokenRefused
from renderctl.core.people import Token, TokenUse
from renderctl.repository.database import Part, add_audit_entry, add_audit_outcome, db_now, durable_write, read, write
from renderctl.repository.people.rows import find_user, to_actor
from renderctl.repository.schema.people import tokens

#: The time between two audit entries of one refused token.
_NOTE_EVERY = timedelta(seconds=60)


class Tokens(Part):
    """The tokens of users."""

    def add(self, token: Token, digest: str, *, lasts_s: float | None, actor: Actor) -> Token:
        """Add a token for a user, valid for `lasts_s` seconds; None: for ever. Raises NotFound."""

        def writing(connection: Connection) -> Token:
            find_user(connection, token.user)
            now = db_now(connection)
            ends = None if lasts_s is None else now + timedelta(seconds=lasts_s)
            row = {"id": token.id, "user": token.user, "name": token.name, "scope": token.scope, "digest": digest}
            connection.execute(tokens.insert(), row | {"created_at": now, "expires_at": ends})
            details = {"name": token.name, "scope": token.scope, "user": token.user}
            add_audit_entry(
                connection, actor, "token.create", token.id, **details, expires_at=ends and ends.isoformat()
            )
            return _token(connection, token.id)

        return self._database.durable_write(writing, recover=lambda connection, _: _token(connection, token.id))

    @read
    def get(self, connection: Connection, token_id: str) -> Token:
        """Return the token with this id. Raises NotFound."""
        return _token(connection, token_id)

    def by_digest(self, digest: str) -> Token:
        """Return the token with this digest. Raises NotFound."""
        query = select(tokens).where(tokens.c.digest == digest)
        row = self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound("There is no such token.")
        return _to_token(row)

    @read
    def all(self, connection: Connection, *, user: str | None = None) -> list[Token]:
        """Return the tokens, of one user or of all, the newest first."""
        query = select(tokens).order_by(tokens.c.id.desc())
        if user is not None:
            query = query.where(tokens.c.user == user)
        return [_to_token(row) for row in connection.execute(query)]

    @durable_write
    def revoke(self, connection: Connection, token_id: str, *, actor: Actor) -> Token:
        """Make a token invalid. Raises NotFound."""
        token = _token(connection, token_id)
        if token.revoked_at is None:
            which = tokens.c.id == token_id
            connection.execute(tokens.update().where(which).values(revoked_at=db_now(connection)))
            add_audit_entry(connection, actor, "token.revoke", token_id, name=token.name, user=token.user)
        return _token(connection, token_id)

    def authenticate(self, digest: str, address: str | None) -> TokenUse:
        """Return the user of a token, without writing anything: `CredentialUses` records when it was used.

        Raises TokenRefused. The audit log gets an entry for a token that was valid once, at most one a minute.
        """

        def reading(connection: Connection) -> tuple[TokenUse, str | None, bool] | None:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            if row is None:
                return None
            now, user = db_now(connection), find_user(connection, row.user)
            actor = to_actor(connection, user, Via.TOKEN, address, Scope(row.scope))
            is_due = row.refused_at is None or now - row.refused_at >= _NOTE_EVERY
            return TokenUse(actor, row.id, now), _why_refused(row, user, now), is_due

        checked = self._database.read(reading)
        if checked is None:
            raise TokenRefused
        use, why, is_due = checked
        if why is None:
            return use
        if is_due:
            self._record_refusal(use, why)
        raise TokenRefused

    @write
    def _record_refusal(self, connection: Connection, use: TokenUse, why: str) -> None:
        now = db_now(connection)
        due = or_(tokens.c.refused_at.is_(None), tokens.c.refused_at <= now - _NOTE_EVERY)
        noted = tokens.update().where(tokens.c.id == use.token_id, due).values(refused_at=now)
        if connection.execute(noted).rowcount:
            details = {"name": _token(connection, use.token_id).name, "why": why}
            add_audit_outcome(connection, use.actor, "token.use", use.token_id, outcome="refused", details=details)


def _why_refused(token: Row[Any], user: Row[Any], now: datetime) -> str | None:
    """Return why a token is not valid; None: it is."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "its user is disabled" if user.disabled_at is not None else None


def _token(connection: Connection, token_id: str) -> Token:
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
    if row is None:
        raise NotFound(f"There is no token {token_id!r}.")
    return _to_token(row)


def _to_token(row: Row[Any]) -> Token:
    scope = Scope(row.scope)
    return Token(row.id, row.user, row.name, scope, row.created_at, row.expires_at, row.revoked_at, row.used_at)
