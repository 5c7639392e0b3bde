"""Second factors: the secrets of time-based codes (TOTP, RFC 6238), and codes for whoever has lost theirs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict
from renderctl.core.people import TotpSecret, TotpStatus
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read, write
from renderctl.repository.people.rows import find_user
from renderctl.repository.schema.people import recovery_codes, totps, web_sessions

#: For how long a secret that was shown may be confirmed.
_PENDING_FOR = timedelta(minutes=15)


class SecondFactors(Part):
    """What users show besides a password."""

    @read
    def get(self, connection: Connection, user: str) -> TotpSecret | None:
        """None: the user has no second factor, and has begun to set up none within the last 15 minutes."""
        row = connection.execute(select(totps).where(totps.c.user == user)).first()
        if row is None:
            return None
        if row.confirmed_at is None and db_now(connection) - row.created_at > _PENDING_FOR:
            return None
        return TotpSecret(row.secret, row.confirmed_at is not None, row.last_step)

    @read
    def status(self, connection: Connection, user: str) -> TotpStatus:
        """Raises NotFound."""
        return _status(connection, user)

    @durable_write
    def begin(self, connection: Connection, user: str, secret: str, *, actor: Actor) -> None:
        """Keep a secret that was made for a user. Raises NotFound, Conflict where there is a confirmed one."""
        find_user(connection, user, alone=True)
        if _status(connection, user).confirmed_at is not None:
            hint = f"`renderctl users totp disable {user}` takes it away."
            raise Conflict(f"{user} has a second factor already.", hint=hint)
        connection.execute(totps.delete().where(totps.c.user == user))
        row = {"user": user, "secret": secret, "created_at": db_now(connection), "last_step": 0}
        connection.execute(totps.insert(), row)
        add_audit_entry(connection, actor, "totp.enroll", user)

    def confirm(self, user: str, secret: str, step: int, *, digests: Sequence[str], actor: Actor) -> None:
        """From now on a log-in takes a code, and the user's other sessions, which took none, end.

        The code of this step was used. `digests`: of the codes for whoever has lost the factor. Raises Conflict where
        it is another secret by now.
        """

        def writing(connection: Connection) -> None:
            find_user(connection, user, alone=True)  # nobody opens a session meanwhile
            pending = (totps.c.user == user) & (totps.c.secret == secret) & totps.c.confirmed_at.is_(None)
            changes = {"confirmed_at": db_now(connection), "last_step": step}
            if not connection.execute(totps.update().where(pending).values(changes)).rowcount:
                raise Conflict(f"{user} is not about to set up a second factor.")
            connection.execute(recovery_codes.delete().where(recovery_codes.c.user == user))
            connection.execute(recovery_codes.insert(), [{"digest": digest, "user": user} for digest in digests])
            others = (web_sessions.c.user == user) & web_sessions.c.id.is_distinct_from(actor.session)
            connection.execute(web_sessions.delete().where(others))
            add_audit_entry(connection, actor, "totp.confirm", user)

        self._database.durable_write(writing, recover=lambda _connection, _audit: None)

    @write
    def use_step(self, connection: Connection, user: str, step: int) -> bool:
        """Whether the code of this step, or of a later one, was not used yet: now it is."""
        which = (totps.c.user == user) & (totps.c.last_step < step)
        changed = totps.update().where(which).values(last_step=step)
        return connection.execute(changed).rowcount == 1

    def use_recovery_code(self, user: str, digest: str, *, actor: Actor) -> bool:
        """Whether the user has such a code: now they have it no more."""

        def writing(connection: Connection) -> bool:
            which = (recovery_codes.c.user == user) & (recovery_codes.c.digest == digest)
            if not connection.execute(recovery_codes.delete().where(which)).rowcount:
                return False
            add_audit_entry(connection, actor, "totp.recover", user, left=_status(connection, user).recovery_codes)
            return True

        return self._database.durable_write(writing, recover=lambda _connection, _audit: True)

    @durable_write
    def disable(self, connection: Connection, user: str, *, actor: Actor) -> TotpStatus:
        """A log-in takes the password alone. Raises NotFound."""
        before = _status(connection, user)
        connection.execute(totps.delete().where(totps.c.user == user))
        connection.execute(recovery_codes.delete().where(recovery_codes.c.user == user))
        if before.confirmed_at is not None:
            add_audit_entry(connection, actor, "totp.disable", user)
        return _status(connection, user)


def _status(connection: Connection, user: str) -> TotpStatus:
    find_user(connection, user)
    confirmed_at: datetime | None = connection.scalar(select(totps.c.confirmed_at).where(totps.c.user == user))
    count = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user == user)
    return TotpStatus(user, confirmed_at, connection.scalar(count) or 0)
