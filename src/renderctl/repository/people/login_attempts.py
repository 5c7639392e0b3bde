"""Failed log-ins of late, and from where users have logged in before."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from renderctl.core.actors import Actor
from renderctl.repository.database import Part, add_audit_outcome, db_now, read, write
from renderctl.repository.schema.people import guesses, known_origins

#: A failure is forgotten after so long without another one; and the longest wait for the next attempt.
_FORGET = timedelta(hours=1)
_LONGEST_WAIT_S = 900.0
#: How long it is known from where a user has logged in; and how often that is noted.
_KNOWN_FOR, _NOTE_EVERY = timedelta(days=90), timedelta(days=1)


class LoginAttempts(Part):
    """The throttle of whoever guesses passwords, and of nobody else."""

    @write
    def record(self, connection: Connection, limits: dict[str, int]) -> float:
        """Record an attempt to log in; return the seconds to wait before the next one, 0: go on.

        `limits`: keys, such as a user and an address, and the number of recent failures that each may have. The attempt
        counts as failed before the password is checked, so that many at once are no way around it.
        """
        now, wait_s = db_now(connection), 0.0
        rows = {row.whose: row for row in connection.execute(_guesses_of(limits))}
        for key, free in limits.items():
            row = rows.get(key)
            if row is not None and now - row.last_at < _FORGET and row.failures >= free:
                pause_s = min(_LONGEST_WAIT_S, 2.0 ** min(row.failures - free, 10))
                wait_s = max(wait_s, pause_s - (now - row.last_at).total_seconds())
        if wait_s > 0:
            return wait_s
        for key in sorted(limits):
            row = rows.get(key)
            stale = row is None or now - row.last_at >= _FORGET
            count = 1 if row is None or stale else row.failures + 1
            values = {"failures": count, "last_at": now}
            if row is None:
                connection.execute(guesses.insert(), {"whose": key, **values})
            else:
                connection.execute(guesses.update().where(guesses.c.whose == key).values(values))
        connection.execute(guesses.delete().where(guesses.c.last_at < now - _FORGET))
        return 0.0

    @write
    def clear(self, connection: Connection, keys: Sequence[str], *, forgive_last: Sequence[str] = ()) -> None:
        """Clear the failures of these keys: the password was right; of `forgive_last` only the last one."""
        connection.execute(guesses.delete().where(guesses.c.whose.in_(list(keys))))
        less = {"failures": guesses.c.failures - 1}
        which = guesses.c.whose.in_(list(forgive_last)) & (guesses.c.failures > 0)
        connection.execute(guesses.update().where(which).values(less))

    @write
    def end_wait(self, connection: Connection, keys: Sequence[str]) -> None:
        """Let the next attempt with these keys go on, however many failures there were."""
        long_ago = db_now(connection) - timedelta(seconds=_LONGEST_WAIT_S)
        which = guesses.c.whose.in_(list(keys)) & (guesses.c.last_at > long_ago)
        connection.execute(guesses.update().where(which).values(last_at=long_ago))

    @write
    def record_refusal(self, connection: Connection, actor: Actor, action: str, subject: str, why: str) -> None:
        """Add an audit entry of what was refused because a password was wrong."""
        add_audit_outcome(connection, actor, action, subject, outcome="refused", details={"why": why})

    @read
    def known_origins(self, connection: Connection, user: str, origins: Sequence[str]) -> set[str]:
        """Return the origins from which the user has logged in within the last 90 days."""
        query = select(known_origins.c.origin).where(
            known_origins.c.user == user,
            known_origins.c.origin.in_(list(origins)),
            known_origins.c.seen_at > db_now(connection) - _KNOWN_FOR,
        )
        return set(connection.scalars(query))

    @read
    def is_known_device(self, connection: Connection, origin: str) -> bool:
        """Whether anybody has logged in from the origin."""
        query = select(known_origins.c.user).where(known_origins.c.origin == origin).limit(1)
        return connection.execute(query).first() is not None

    @write
    def remember_origins(self, connection: Connection, user: str, origins: Sequence[str]) -> None:
        """Note that the user has logged in from the origins."""
        now = db_now(connection)
        of_user = known_origins.c.user == user
        rows = connection.execute(select(known_origins).where(of_user, known_origins.c.origin.in_(list(origins))))
        seen = {row.origin: row.seen_at for row in rows}
        for origin in origins:
            which = of_user & (known_origins.c.origin == origin)
            if origin not in seen:
                connection.execute(known_origins.insert(), {"user": user, "origin": origin, "seen_at": now})
            elif now - seen[origin] >= _NOTE_EVERY:
                connection.execute(known_origins.update().where(which).values(seen_at=now))
        if len(seen) < len(set(origins)):
            connection.execute(known_origins.delete().where(of_user, known_origins.c.seen_at < now - _KNOWN_FOR))


def _guesses_of(keys: dict[str, int]) -> Any:
    return select(guesses).where(guesses.c.whose.in_(sorted(keys))).order_by(guesses.c.whose).with_for_update()
