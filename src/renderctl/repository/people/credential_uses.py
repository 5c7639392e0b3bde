"""When tokens and sessions were used."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import BindParameter, Connection, bindparam, or_

from renderctl.repository.database import Part, write
from renderctl.repository.schema.jobs import UtcTime
from renderctl.repository.schema.people import tokens, web_sessions


class CredentialUses(Part):
    """The last uses of tokens and sessions."""

    @write
    def record(
        self,
        connection: Connection,
        tokens_used: Mapping[str, datetime],
        sessions_used: Mapping[str, tuple[datetime, str | None]],
    ) -> None:
        """Record when tokens (by id) and sessions (by digest) were last used, and from which address a session was.

        It takes one transaction. A later time that another server has written stays.
        """
        token_rows = [{"key": key, "at": at} for key, at in sorted(tokens_used.items())]
        session_rows = [
            {"key": key, "at": at, "seen_from": place} for key, (at, place) in sorted(sessions_used.items())
        ]
        key: BindParameter[str] = bindparam("key")
        at: BindParameter[datetime] = bindparam("at", type_=UtcTime)
        if token_rows:
            is_later = or_(tokens.c.used_at.is_(None), tokens.c.used_at < at)
            connection.execute(tokens.update().where(tokens.c.id == key, is_later).values(used_at=at), token_rows)
        if session_rows:
            is_later = or_(web_sessions.c.seen_at.is_(None), web_sessions.c.seen_at < at)
            seen = {"seen_at": at, "seen_from": bindparam("seen_from")}
            update = web_sessions.update().where(web_sessions.c.digest == key, is_later).values(seen)
            connection.execute(update, session_rows)
