"""Leases: what one process at a time does, and another one as soon as that falls silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from renderctl.repository.database import Database
from renderctl.repository.schema.jobs import leases

#: Seconds that no lease is taken for.
_LONGEST_S = 300.0


@dataclass(frozen=True)
class Lease:
    """A lease that is ours."""

    held_s: float  #: for how many seconds
    clock_set_back: bool = False  #: it ended so late that the database's clock must have been set back since


class Leasing(Database):
    """Who does what alone."""

    def keep_lease(self, name: str, holder: str, *, afresh: bool = False) -> Lease | None:
        """Take or keep a lease for a heartbeat limit. None: it is another's.

        `afresh`: as if it were just taken.
        """
        lease = _lease(name)

        # Thousands of workers look at it at once: they read it, and who finds it in another's hands leaves it there.
        def anothers(connection: Connection) -> bool:
            row = connection.execute(lease).first()
            return row is not None and row.holder != holder and self._is_held(row, self.now(connection))

        def writing(connection: Connection) -> Lease | None:
            now = self.now(connection)
            until = now + timedelta(seconds=self.heartbeat_limit_s)
            if connection.execute(lease).first() is None:
                connection.execute(leases.insert(), {"name": name, "holder": holder, "since": now, "until": until})
                return Lease(0.0)
            row = connection.execute(lease.with_for_update(skip_locked=True)).first()
            if row is None or (row.holder != holder and self._is_held(row, now)):
                return None
            since = row.since if row.holder == holder and self._is_held(row, now) and not afresh else now
            changes = {"holder": holder, "since": since, "until": until}
            connection.execute(leases.update().where(leases.c.name == name).values(changes))
            return Lease((now - since).total_seconds(), row.until > now and not self._is_held(row, now))

        return None if self.read(anothers) else self.write(writing)

    def _is_held(self, row: Row[Any], now: datetime) -> bool:
        """Whether the lease holds: nobody has one for longer than this, whatever their own heartbeat limit is."""
        longest = timedelta(seconds=max(_LONGEST_S, 4 * self.heartbeat_limit_s))
        return bool(now < row.until <= now + longest)

    def end_lease(self, name: str, holder: str) -> None:
        """Leave a lease to the next one."""
        ours = (leases.c.name == name) & (leases.c.holder == holder)
        if self.read(lambda connection: connection.execute(select(leases).where(ours)).first()) is not None:
            self.write(lambda connection: connection.execute(leases.delete().where(ours)))


def _lease(name: str) -> Select[Any]:
    return select(leases).where(leases.c.name == name)
