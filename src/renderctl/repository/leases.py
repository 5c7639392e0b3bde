"""Leases: what only one process does at a time, and another takes over when that one falls silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from renderctl.repository.database import Part, db_now
from renderctl.repository.schema.jobs import leases

#: The leases of the sweep and of the webhook dispatcher.
SWEEP, WEBHOOKS = "sweep", "webhooks"
#: No lease is valid for longer than so many seconds.
_LONGEST_S = 300.0


@dataclass(frozen=True)
class Lease:
    """A lease that the caller holds."""

    held_s: float  #: for how many seconds
    clock_set_back: bool = False  #: it ended so late that the database's clock must have been set back since


class Leases(Part):
    """Leases, and turns of periodic work."""

    def acquire(self, name: str, holder: str, *, renew_start: bool = False) -> Lease | None:
        """Acquire or keep a lease for a heartbeat limit; None: another one holds it.

        `renew_start`: as if it were just acquired.
        """
        lease = _lease_query(name)

        # Thousands of workers ask at the same time: most find the lease held by another, and then only read.
        def is_held_by_another(connection: Connection) -> bool:
            row = connection.execute(lease).first()
            return row is not None and row.holder != holder and self._is_held(row, db_now(connection))

        def writing(connection: Connection) -> Lease | None:
            now = db_now(connection)
            until = now + timedelta(seconds=self._database.heartbeat_limit_s)
            if connection.execute(lease).first() is None:
                connection.execute(leases.insert(), {"name": name, "holder": holder, "since": now, "until": until})
                return Lease(0.0)
            row = connection.execute(lease.with_for_update(skip_locked=True)).first()
            if row is None or (row.holder != holder and self._is_held(row, now)):
                return None
            since = row.since if row.holder == holder and self._is_held(row, now) and not renew_start else now
            changes = {"holder": holder, "since": since, "until": until}
            connection.execute(leases.update().where(leases.c.name == name).values(changes))
            return Lease((now - since).total_seconds(), row.until > now and not self._is_held(row, now))

        return None if self._database.read(is_held_by_another) else self._database.write(writing)

    def _is_held(self, row: Row[Any], now: datetime) -> bool:
        """Whether the lease is valid. None is for longer than this, whatever heartbeat limit its holder has."""
        longest = timedelta(seconds=max(_LONGEST_S, 4 * self._database.heartbeat_limit_s))
        return bool(now < row.until <= now + longest)

    def release(self, name: str, holder: str) -> None:
        """Release a lease."""
        own_row = (leases.c.name == name) & (leases.c.holder == holder)
        if (
            self._database.read(lambda connection: connection.execute(select(leases).where(own_row)).first())
            is not None
        ):
            self._database.write(lambda connection: connection.execute(leases.delete().where(own_row)))

    def take_turn(self, name: str, every_s: float) -> bool:
        """Return whether work that is done every `every_s` seconds is due, and note that it is done now."""

        def too_early(until: datetime | None, now: datetime) -> bool:
            return until is not None and now < until <= now + timedelta(
                seconds=every_s
            )  # later: the clock was set back

        def early(connection: Connection) -> bool:
            return too_early(connection.scalar(select(leases.c.until).where(leases.c.name == name)), db_now(connection))

        def writing(connection: Connection) -> bool:
            now = db_now(connection)
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).first()
            if row is not None and too_early(row.until, now):
                return False
            connection.execute(leases.delete().where(leases.c.name == name))
            row_of_now = {"name": name, "holder": name, "since": now, "until": now + timedelta(seconds=every_s)}
            connection.execute(leases.insert(), row_of_now)
            return True

        return not self._database.read(early) and self._database.write(writing)


def _lease_query(name: str) -> Select[Any]:
    return select(leases).where(leases.c.name == name)
