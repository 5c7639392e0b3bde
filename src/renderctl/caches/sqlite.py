"""The embedded cache: an SQLite file that every process of this machine can read."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from renderctl.caches import Cache, encoded
from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable
from renderctl.core.sqlite_file import Layout, SqliteFile, transaction

log = logging.getLogger(__name__)

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS copies (
        key BLOB PRIMARY KEY, version INTEGER NOT NULL, put_at REAL NOT NULL, expires_at REAL NOT NULL,
        document TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS logs (
        key BLOB PRIMARY KEY, kept_from INTEGER NOT NULL, ends_at INTEGER NOT NULL, expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS pieces (
        key BLOB NOT NULL, ends_at INTEGER NOT NULL, text BLOB NOT NULL, PRIMARY KEY (key, ends_at)
    );
"""
_PUT = """
    INSERT INTO copies (key, version, put_at, expires_at, document) VALUES (?1, ?2, ?3, ?3 + ?4, ?5)
    ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, put_at = excluded.put_at, expires_at = excluded.expires_at,
        document = excluded.document
    WHERE excluded.version >= version OR expires_at <= ?3
"""
_GET = "SELECT document, put_at FROM copies WHERE key = ? AND expires_at > ?"
_LOG = "SELECT kept_from, ends_at FROM logs WHERE key = ? AND expires_at > ?"
_KEEP = """
    INSERT INTO logs (key, kept_from, ends_at, expires_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (key) DO UPDATE SET
        kept_from = excluded.kept_from, ends_at = excluded.ends_at, expires_at = excluded.expires_at
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
            connection.execute(_PUT, (encoded(key), version, now, ttl_s, text))

        self._attempt(write, None)

    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
            now = self._now()
            row = connection.execute(_GET, (encoded(key), now)).fetchone()
            if row is None or (younger_than_s is not None and not 0 <= now - row[1] < younger_than_s):
                return None
            document: dict[str, Any] = json.loads(row[0])
            return document

        return self._attempt(read, None)

    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = {key: self.get(key) for key in keys}
        return {key: document for key, document in found.items() if document is not None}

    def forget(self, key: str) -> None:
        self._attempt(lambda connection: connection.execute("DELETE FROM copies WHERE key = ?", (encoded(key),)), None)

    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        def write(connection: sqlite3.Connection) -> None:
            now = self._now()
            self._purge_sometimes(connection, now)
            with transaction(connection):
                _grow(connection, encoded(key), _Piece(at, text, limit, now, now + ttl_s))

        if text:
            self._attempt(write, None)

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        def read(connection: sqlite3.Connection) -> tuple[bytes, int]:
            with transaction(connection, "DEFERRED"):
                row = connection.execute(_LOG, (encoded(key), self._now())).fetchone()
                if row is None or row[1] <= offset:
                    return b"", offset
                start, ends_at = max(row[0], offset), row[1]
                query = "SELECT text FROM pieces WHERE key = ? AND ends_at > ? ORDER BY ends_at"
                text = b"".join(piece for (piece,) in connection.execute(query, (encoded(key), start)))
            return text[len(text) - (ends_at - start) :], ends_at

        return self._attempt(read, (b"", offset))

    def check(self) -> str:
        try:
            with self._file.connection() as connection, transaction(connection):
                (documents,) = connection.execute("SELECT count(*) FROM copies").fetchone()
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
            connection.execute("DELETE FROM copies WHERE expires_at <= ?", (now,))
            connection.execute("DELETE FROM pieces WHERE key IN (SELECT key FROM logs WHERE expires_at <= ?)", (now,))
            connection.execute("DELETE FROM logs WHERE expires_at <= ?", (now,))


@dataclass(frozen=True)
class _Piece:
    """Text of a log that is to be kept."""

    at: int
    text: bytes
    limit: int
    now: float
    expires_at: float


def _grow(connection: sqlite3.Connection, key: bytes, piece: _Piece) -> None:
    row = connection.execute(_LOG, (key, piece.now)).fetchone()
    if row is None or piece.at > row[1]:  # its life is over, or a piece was lost
        connection.execute("DELETE FROM pieces WHERE key = ?", (key,))
        row = piece.at, piece.at
    kept_from, ends_at = row
    text = piece.text[ends_at - piece.at :]
    if not text:
        return
    ends_at += len(text)
    kept_from = max(kept_from, ends_at - piece.limit)
    connection.execute(_KEEP, (key, kept_from, ends_at, piece.expires_at))
    connection.execute("DELETE FROM pieces WHERE key = ? AND ends_at <= ?", (key, kept_from))
    connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (key, ends_at, text[-piece.limit :]))
