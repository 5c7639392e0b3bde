"""The embedded queue: a table in an SQLite file that every process of this machine can open."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from renderctl.core.clocks import Clock
from renderctl.core.errors import QueueUnavailable
from renderctl.core.sqlite_file import Layout, SqliteFile
from renderctl.queues import Queue, Ticket

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS tickets (
        id INTEGER PRIMARY KEY,
        pool TEXT NOT NULL,
        priority INTEGER NOT NULL,
        visible_at REAL NOT NULL,
        job_id TEXT NOT NULL,
        serial INTEGER NOT NULL,
        UNIQUE (job_id, serial)
    );
    CREATE INDEX IF NOT EXISTS turns ON tickets (pool, priority DESC, id);
"""
# The same ticket again is the same turn: it keeps its place, at the job's priority of now.
_PUT = """
    INSERT INTO tickets (pool, priority, visible_at, job_id, serial) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (job_id, serial) DO UPDATE
    SET pool = excluded.pool, priority = excluded.priority, visible_at = min(visible_at, excluded.visible_at)
"""
_SEES = "SELECT EXISTS (SELECT 1 FROM tickets WHERE pool IN ({pools}) AND visible_at <= ?)"
_SOONEST = "SELECT min(visible_at) FROM tickets WHERE pool IN ({pools})"
_TAKE = """
    DELETE FROM tickets WHERE id = (
        SELECT id FROM tickets WHERE pool IN ({pools}) AND visible_at <= ? ORDER BY priority DESC, id LIMIT 1
    ) RETURNING job_id, serial
"""
_POLL_S = 0.015


class SqliteQueue(Queue):
    """Tickets in a file. One who waits sees a ticket of this or another process within about 15 ms."""

    def __init__(self, path: Path, clock: Clock, busy_timeout_s: float = 10.0) -> None:
        self._file = SqliteFile(path, Layout(_SCHEMA, "NORMAL", busy_timeout_s), clock)
        self._clock = clock
        self._puts = 0

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        with self._connection() as connection:
            visible_at = self._clock.now().timestamp() + delay_s
            connection.execute(_PUT, (pool, priority, visible_at, ticket.job_id, ticket.serial))
            self._puts += 1

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        give_up = self._clock.monotonic() + timeout_s
        while True:
            ticket, seen, wake_at = self._take(pools)
            left = give_up - self._clock.monotonic()
            if ticket is not None or left <= 0 or (stop is not None and stop.is_set()):
                return ticket
            self._wait_for_change(seen, min(left, wake_at), stop)

    def check(self) -> str:
        with self._connection() as connection:
            (waiting,) = connection.execute("SELECT count(*) FROM tickets").fetchone()
        return f"SQLite file {self._file.path} ({waiting} tickets)"

    def close(self) -> None:
        self._file.close()

    def _take(self, pools: Sequence[str]) -> tuple[Ticket | None, tuple[int, int], float]:
        """A ticket, the state of the queue before it was looked for, and the seconds until a delayed one shows."""
        marks = ",".join("?" * len(pools))
        with self._connection() as connection:
            seen = self._state(connection)
            now = self._clock.now().timestamp()
            # Looking takes no lock; only one who sees a ticket reaches for it.
            if not connection.execute(_SEES.format(pools=marks), (*pools, now)).fetchone()[0]:
                (soonest,) = connection.execute(_SOONEST.format(pools=marks), tuple(pools)).fetchone()
                return None, seen, (soonest - now if soonest is not None else float("inf"))
            row = connection.execute(_TAKE.format(pools=marks), (*pools, now)).fetchone()
        return (Ticket(*row) if row else None), seen, 0.0

    def _wait_for_change(self, seen: tuple[int, int], seconds: float, stop: threading.Event | None) -> None:
        give_up = self._clock.monotonic() + seconds
        while (left := give_up - self._clock.monotonic()) > 0:
            if self._clock.wait(stop, min(_POLL_S, left)):
                return
            with self._connection() as connection:
                if self._state(connection) != seen:
                    return

    def _state(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Differs after a change by another process, or by another thread of this one."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        return version, self._puts

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.connection() as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            hint = "If the file is damaged, remove it: the sweep issues every ticket again."
            raise QueueUnavailable(f"The queue {self._file.path} can not be used: {error}.", hint=hint) from error
