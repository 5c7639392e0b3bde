"""The embedded queue: a table in an SQLite file that every process of this machine can open."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from renderctl.core.clocks import Clock
from renderctl.core.errors import QueueUnavailable
from renderctl.core.sqlite_file import SqliteFile, SqliteOptions
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
# A ticket that is put again keeps its place in line, with the job's present priority.
_PUT = """
    INSERT INTO tickets (pool, priority, visible_at, job_id, serial) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (job_id, serial) DO UPDATE
    SET pool = excluded.pool, priority = excluded.priority, visible_at = min(visible_at, excluded.visible_at)
"""
_ANY_VISIBLE = "SELECT EXISTS (SELECT 1 FROM tickets WHERE pool IN ({pools}) AND visible_at <= ?)"
_NEXT_VISIBLE_AT = "SELECT min(visible_at) FROM tickets WHERE pool IN ({pools})"
_DELETE_NEXT = """
    DELETE FROM tickets WHERE id = (
        SELECT id FROM tickets WHERE pool IN ({pools}) AND visible_at <= ? ORDER BY priority DESC, id LIMIT 1
    ) RETURNING job_id, serial
"""
_POLL_S = 0.015


class SqliteQueue(Queue):
    """Tickets in an SQLite file. A waiting `get` sees a ticket put by any process within about 15 ms."""

    def __init__(self, path: Path, clock: Clock, busy_timeout_s: float = 10.0) -> None:
        self._file = SqliteFile(path, SqliteOptions(_SCHEMA, "NORMAL", busy_timeout_s), clock)
        self._clock = clock
        self._puts = 0

    def put(self, ticket: Ticket, *, pool: str, priority: int, delay_s: float = 0.0) -> None:
        """Insert the ticket, or move the same one to this pool and priority."""
        with self._connection() as connection:
            visible_at = self._clock.now().timestamp() + delay_s
            connection.execute(_PUT, (pool, priority, visible_at, ticket.job_id, ticket.serial))
            self._puts += 1

    def get(self, pools: Sequence[str], timeout_s: float, stop: threading.Event | None = None) -> Ticket | None:
        """Delete and return the next visible ticket; polls for changes while there is none."""
        deadline = self._clock.monotonic() + timeout_s
        while True:
            ticket, state, visible_in_s = self._take(pools)
            left = deadline - self._clock.monotonic()
            if ticket is not None or left <= 0 or (stop is not None and stop.is_set()):
                return ticket
            self._wait_for_change(state, min(left, visible_in_s), stop)

    def check(self) -> str:
        """Return the path of the file and the number of tickets in it."""
        with self._connection() as connection:
            (count,) = connection.execute("SELECT count(*) FROM tickets").fetchone()
        return f"SQLite file {self._file.path} ({count} tickets)"

    def close(self) -> None:
        """Close the connections to the file."""
        self._file.close()

    def _take(self, pools: Sequence[str]) -> tuple[Ticket | None, tuple[int, int], float]:
        """Return a ticket, the queue's state before the query, and the seconds until the next delayed ticket."""
        placeholders = ",".join("?" * len(pools))
        with self._connection() as connection:
            state = self._state(connection)
            now = self._clock.now().timestamp()
            # Reading takes no lock: only a caller that sees a ticket starts a write transaction.
            if not connection.execute(_ANY_VISIBLE.format(pools=placeholders), (*pools, now)).fetchone()[0]:
                (next_visible_at,) = connection.execute(
                    _NEXT_VISIBLE_AT.format(pools=placeholders), tuple(pools)
                ).fetchone()
                return None, state, (next_visible_at - now if next_visible_at is not None else float("inf"))
            row = connection.execute(_DELETE_NEXT.format(pools=placeholders), (*pools, now)).fetchone()
        return (Ticket(*row) if row else None), state, 0.0

    def _wait_for_change(self, state: tuple[int, int], seconds: float, stop: threading.Event | None) -> None:
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            if self._clock.wait(stop, min(_POLL_S, left)):
                return
            with self._connection() as connection:
                if self._state(connection) != state:
                    return

    def _state(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return a value that changes whenever another process, or another thread of this one, changes the queue."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        return version, self._puts

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.connection() as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            hint = "If the file is damaged, remove it: the sweep issues every ticket again."
            raise QueueUnavailable(f"The queue {self._file.path} cannot be used: {error}.", hint=hint) from error
