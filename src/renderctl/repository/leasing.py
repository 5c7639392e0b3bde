"""Leases: what one process at a time does, and another one as soon as that falls silent."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, select

from renderctl.repository.database import Database
from renderctl.repository.tables import leases


class Leasing(Database):
    """Who does what alone."""

    def keep_lease(self, name: str, holder: str, *, afresh: bool = False) -> float | None:
        """Take or keep a lease for a heartbeat limit; for how many seconds it is held. None: it is another's.

        `afresh`: as if it were just taken.
        """
        lease = _lease(name)

        # Thousands of workers look at it at once: they read it, and who finds it in another's hands leaves it there.
        def anothers(connection: Connection) -> bool:
            row = connection.execute(lease).first()
            return row is not None and row.holder != holder and bool(row.until > self.now(connection))

        def writing(connection: Connection) -> float | None:
            now = self.now(connection)
            until = now + timedelta(seconds=self.heartbeat_limit_s)
            if connection.execute(lease).first() is None:
                connection.execute(leases.insert(), {"name": name, "holder": holder, "since": now, "until": until})
                return 0.0
            row = connection.execute(lease.with_for_update(skip_locked=True)).first()
            if row is None or (row.holder != holder and row.until > now):
                return None
            since = row.since if row.holder == holder and row.until > now and not afresh else now
            changes = {"holder": holder, "since": since, "until": until}
            connection.execute(leases.update().where(leases.c.name == name).values(changes))
            return float((now - since).total_seconds())

        return None if self.read(anothers) else self.write(writing)

    def end_lease(self, name: str, holder: str) -> None:
        """Leave a lease to the next one."""
        ours = (leases.c.name == name) & (leases.c.holder == holder)
        if self.read(lambda connection: connection.execute(select(leases).where(ours)).first()) is not None:
            self.write(lambda connection: connection.execute(leases.delete().where(ours)))


def _lease(name: str) -> Select[Any]:
    return select(leases).where(leases.c.name == name)
