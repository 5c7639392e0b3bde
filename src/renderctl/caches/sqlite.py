"""The embedded cache: an SQLite file that every process of this machine can read."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from renderctl.caches import Cache
from renderctl.clocks import Clock
from renderctl.errors import Unreachable
from renderctl.sqlitefiles import Layout, SqliteFile, transaction

log = logging.getLogger(__name__)

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS documents (
        key TEXT PRIMARY KEY, version INTEGER NOT NULL, expires_at REAL NOT NULL, document TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS logs (
        key TEXT PRIMARY KEY, kept_from INTEGER NOT NULL, ends_at INTEGER NOT NULL, expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS pieces (
        key TEXT NOT NULL, ends_at INTEGER NOT NULL, text BLOB NOT NULL, PRIMARY KEY (key, ends_at)
    );
"""
_PUT = """
    INSERT INTO documents (key, version, expires_at, document) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, expires_at = excluded.expires_at, document = excluded.document
    WHERE excluded.version >= version OR expires_at <= ?5
"""
#: A log goes on where it ended; one whose life is over begins anew.
_GROW = """
    INSERT INTO logs (key, kept_from, ends_at, expires_at) VALUES (?1, max(0, ?2 - ?3), ?2, ?4)
    ON CONFLICT (key) DO UPDATE SET
        kept_from = max(kept_from, ends_at + ?2 - ?3), ends_at = ends_at + ?2, expires_at = excluded.expires_at
    RETURNING kept_from, ends_at
"""
_PURGE_EVERY_S = 60.0

Answer = TypeVar("Answer")


class SqliteCache(Cache):
    """Documents and tails of logs in a file; a damaged one is replaced by an empty one."""

    def __init__(self, path: Path, clock: Clock, busy_timeout_s: float = 1.0) -> None:
        self._file = SqliteFile(path, Layout(_SCHEMA, "OFF", busy_timeout_s), clock)
        self._clock = clock
        self._purge_at = 0.0

    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        text = json.dumps(document, separators=(",", ":"))

        def write(connection: sqlite3.Connection) -> None:
            now = self._now()
            self._purge_sometimes(connection, now)
            connection.execute(_PUT, (key, version, now + ttl_s, text, now))

        self._attempt(write, None)

    def get(self, key: str) -> dict[str, Any] | None:
        def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
            query = "SELECT document FROM documents WHERE key = ? AND expires_at > ?"
            row = connection.execute(query, (key, self._now())).fetchone()
            return json.loads(row[0]) if row else None

        return self._attempt(read, None)

    def forget(self, key: str) -> None:
        self._attempt(lambda connection: connection.execute("DELETE FROM documents WHERE key = ?", (key,)), None)

    def append(self, key: str, text: bytes, *, limit: int = 1 << 20, ttl_s: float = 3600.0) -> None:
        if not text:
            return

        def write(connection: sqlite3.Connection) -> None:
            now = self._now()
            self._purge_sometimes(connection, now)
            with transaction(connection):
                _drop_expired_log(connection, key, now)
                grown = (key, len(text), limit, now + ttl_s)
                kept_from, ends_at = connection.execute(_GROW, grown).fetchone()
                connection.execute("DELETE FROM pieces WHERE key = ? AND ends_at <= ?", (key, kept_from))
                connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (key, ends_at, text[-limit:]))

        self._attempt(write, None)

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        def read(connection: sqlite3.Connection) -> tuple[bytes, int]:
            with transaction(connection, "DEFERRED"):
                query = "SELECT kept_from, ends_at FROM logs WHERE key = ? AND expires_at > ?"
                row = connection.execute(query, (key, self._now())).fetchone()
                if row is None:
                    return b"", 0
                kept_from, ends_at = row
                # A reader who is further than the log has read another one of that key: all of this is new.
                start = max(kept_from, offset) if offset <= ends_at else kept_from
                query = "SELECT text FROM pieces WHERE key = ? AND ends_at > ? ORDER BY ends_at"
                text = b"".join(piece for (piece,) in connection.execute(query, (key, start)))
            return text[len(text) - (ends_at - start) :], ends_at

        return self._attempt(read, (b"", 0))

    def check(self) -> str:
        try:
            with self._file.connection() as connection, transaction(connection):
                (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise Unreachable(f"The cache {self._file.path} can not be used: {error}.") from error
        return f"SQLite file {self._file.path} ({documents} documents)"

    def close(self) -> None:
        self._file.close()

    def _attempt(self, action: Callable[[sqlite3.Connection], Answer], otherwise: Answer) -> Answer:
        """What the action answers, or `otherwise` while the cache is away."""
        try:
            with self._file.connection() as connection:
                return action(connection)
        except (sqlite3.Error, OSError) as error:
            log.debug("The cache %s is away: %s", self._file.path, error)
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self._start_anew()
            return otherwise

    def _start_anew(self) -> None:
        try:
            self._file.remove()
        except OSError as error:
            log.debug("The damaged cache %s can not be removed: %s", self._file.path, error)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _purge_sometimes(self, connection: sqlite3.Connection, now: float) -> None:
        if self._clock.monotonic() < self._purge_at:
            return
        self._purge_at = self._clock.monotonic() + _PURGE_EVERY_S
        with transaction(connection):
            connection.execute("DELETE FROM documents WHERE expires_at <= ?", (now,))
            for (key,) in connection.execute("SELECT key FROM logs WHERE expires_at <= ?", (now,)).fetchall():
                _drop_expired_log(connection, key, now)


def _drop_expired_log(connection: sqlite3.Connection, key: str, now: float) -> None:
    gone = connection.execute("DELETE FROM logs WHERE key = ? AND expires_at <= ?", (key, now)).rowcount
    if gone:
        connection.execute("DELETE FROM pieces WHERE key = ?", (key,))
