"""Second factors: secrets of time-based codes (TOTP, RFC 6238), and recovery codes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict
from renderctl.core.people import TotpSecret, TotpStatus
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read, write
from renderctl.repository.people.rows import find_user
from renderctl.repository.schema.people import recovery_codes, totps, web_sessions

#: How long a new secret can be confirmed.
_PENDING_FOR = timedelta(minutes=15)


class SecondFactors(Part):
    """The second factors of users."""

    @read
    def get(self, connection: Connection, user: str) -> TotpSecret | None:
        """Return the user's secret; None: they have none, and have begun to set up none within the last 15 minutes."""
        row = connection.execute(select(totps).where(totps.c.user == user)).first()
        if row is None:
            return None
        if row.confirmed_at is None and db_now(connection) - row.created_at > _PENDING_FOR:
            return None
        return TotpSecret(row.secret, row.confirmed_at is not None, row.last_step)

    @read
    def status(self, connection: Connection, user: str) -> TotpStatus:
        """Return whether the user has a second factor, and how many recovery codes. Raises NotFound."""
        return _status(connection, user)

    @durable_write
    def begin(self, connection: Connection, user: str, secret: str, *, actor: Actor) -> None:
        """Store a secret that the user has to confirm. Raises NotFound, Conflict if they have a confirmed one."""
        find_user(connection, user, lock=True)
        if _status(connection, user).confirmed_at is not None:
            hint = f"`renderctl users totp disable {user}` takes it away."
            raise Conflict(f"{user} has a second factor already.", hint=hint)
        connection.execute(totps.delete().where(totps.c.user == user))
        row = {"user": user, "secret": secret, "created_at": db_now(connection), "last_step": 0}
        connection.execute(totps.insert(), row)
        add_audit_entry(connection, actor, "totp.enroll", user)

    def confirm(self, user: str, secret: str, step: int, *, digests: Sequence[str], actor: Actor) -> None:
        """Confirm the secret: from now on a log-in takes a code, and the user's other sessions end.

        `step`: of the code that was used. `digests`: of the recovery codes. Raises Conflict if there is another secret
        by now.
        """

        def writing(connection: Connection) -> None:
            find_user(connection, user, lock=True)  # nobody opens a session meanwhile
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
        """Use up the code of this step; return False if it, or a later one, was used before."""
        which = (totps.c.user == user) & (totps.c.last_step < step)
        changed = totps.update().where(which).values(last_step=step)
        return connection.execute(changed).rowcount == 1

    def use_recovery_code(self, user: str, digest: str, *, actor: Actor) -> bool:
        """Use up a recovery code; return False if the user has no such code."""

        def writing(connection: Connection) -> bool:
            which = (recovery_codes.c.user == user) & (recovery_codes.c.digest == digest)
            if not connection.execute(recovery_codes.delete().where(which)).rowcount:
                return False
            add_audit_entry(connection, actor, "totp.recover", user, left=_status(connection, user).recovery_codes)
            return True

        return self._database.durable_write(writing, recover=lambda _connection, _audit: True)

    @durable_write
    def disable(self, connection: Connection, user: str, *, actor: Actor) -> TotpStatus:
        """Remove the user's second factor. Raises NotFound."""
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
