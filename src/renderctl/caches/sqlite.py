"""The embedded cache: an SQLite file that every process of this machine can read."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from renderctl.caches import Cache, encode_key
from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable
from renderctl.core.sqlite_file import SqliteFile, SqliteOptions, transaction

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
    INSERT INTO copies (key, version, put_at, expires_at, document) VALUES (:key, :version, :now, :now + :ttl_s, :text)
    ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, put_at = excluded.put_at, expires_at = excluded.expires_at,
        document = excluded.document
    WHERE excluded.version >= version OR expires_at <= :now
"""
_GET = "SELECT document, put_at FROM copies WHERE key = ? AND expires_at > ?"
_LOG = "SELECT kept_from, ends_at FROM logs WHERE key = ? AND expires_at > ?"
_PUT_LOG = """
    INSERT INTO logs (key, kept_from, ends_at, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        kept_from = excluded.kept_from, ends_at = excluded.ends_at, expires_at = excluded.expires_at
"""
_PURGE_EVERY_S = 60.0

T = TypeVar("T")


class SqliteCache(Cache):
    """Documents and tails of logs in an SQLite file; a damaged file is replaced by an empty one."""

    def __init__(self, path: Path, clock: Clock, busy_timeout_s: float = 1.0) -> None:
        self._file = SqliteFile(path, SqliteOptions(_SCHEMA, "OFF", busy_timeout_s), clock)
        self._clock = clock
        self._purge_at = 0.0

    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        """Upsert the document, unless the row's version is higher."""
        text = json.dumps(document, separators=(",", ":"))

        def write(connection: sqlite3.Connection) -> None:
            now = self._now()
            self._purge_if_due(connection, now)
            row = {"key": encode_key(key), "version": version, "now": now, "ttl_s": ttl_s, "text": text}
            connection.execute(_PUT, row)

        self._call(write, None)

    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        """Select the document, unless it has expired."""

        def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
            now = self._now()
            row = connection.execute(_GET, (encode_key(key), now)).fetchone()
            if row is None or (younger_than_s is not None and not 0 <= now - row[1] < younger_than_s):
                return None
            document: dict[str, Any] = json.loads(row[0])
            return document

        return self._call(read, None)

    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Select the documents one by one: a query of a local file is cheap."""
        documents = {key: self.get(key) for key in keys}
        return {key: document for key, document in documents.items() if document is not None}

    def forget(self, key: str) -> None:
        """Delete the document's row."""
        self._call(lambda connection: connection.execute("DELETE FROM copies WHERE key = ?", (encode_key(key),)), None)

    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        """Insert the new bytes and delete those beyond `limit`."""

        def write(connection: sqlite3.Connection) -> None:
            now = self._now()
            self._purge_if_due(connection, now)
            with transaction(connection):
                _append_chunk(connection, encode_key(key), _Chunk(at, text, limit, now, now + ttl_s))

        if text:
            self._call(write, None)

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        """Join the log's chunks from `offset` on."""

        def read(connection: sqlite3.Connection) -> tuple[bytes, int]:
            with transaction(connection, "DEFERRED"):
                row = connection.execute(_LOG, (encode_key(key), self._now())).fetchone()
                if row is None or row[1] <= offset:
                    return b"", offset
                start, ends_at = max(row[0], offset), row[1]
                query = "SELECT text FROM pieces WHERE key = ? AND ends_at > ? ORDER BY ends_at"
                text = b"".join(chunk for (chunk,) in connection.execute(query, (encode_key(key), start)))
            return text[len(text) - (ends_at - start) :], ends_at

        return self._call(read, (b"", offset))

    def check(self) -> str:
        """Return the path of the file and the number of documents, after a write transaction. Raises Unreachable."""
        try:
            with self._file.connection() as connection, transaction(connection):
                (documents,) = connection.execute("SELECT count(*) FROM copies").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise Unreachable(f"The cache {self._file.path} cannot be used: {error}.") from error
        return f"SQLite file {self._file.path} ({documents} documents)"

    def close(self) -> None:
        """Close the connections to the file."""
        self._file.close()

    def _call(self, operation: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return the operation's result, or `default` while the file cannot be used."""
        try:
            with self._file.connection() as connection:
                return operation(connection)
        except (sqlite3.Error, OSError) as error:
            log.debug("the cache %s cannot be used: %s", self._file.path, error)
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self._remove_damaged()
            return default

    def _remove_damaged(self) -> None:
        try:
            self._file.remove()
        except OSError as error:
            log.debug("the damaged cache %s cannot be removed: %s", self._file.path, error)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _purge_if_due(self, connection: sqlite3.Connection, now: float) -> None:
        if self._clock.monotonic() < self._purge_at:
            return
        self._purge_at = self._clock.monotonic() + _PURGE_EVERY_S
        with transaction(connection):
            connection.execute("DELETE FROM copies WHERE expires_at <= ?", (now,))
            connection.execute("DELETE FROM pieces WHERE key IN (SELECT key FROM logs WHERE expires_at <= ?)", (now,))
            connection.execute("DELETE FROM logs WHERE expires_at <= ?", (now,))


@dataclass(frozen=True)
class _Chunk:
    """Text to append to a log, at byte `at`; `now` and `expires_at` are Unix times in seconds."""

    at: int
    text: bytes
    limit: int
    now: float
    expires_at: float


def _append_chunk(connection: sqlite3.Connection, key: bytes, chunk: _Chunk) -> None:
    row = connection.execute(_LOG, (key, chunk.now)).fetchone()
    if row is None or chunk.at > row[1]:  # the cached log has expired, or a chunk was lost
        connection.execute("DELETE FROM pieces WHERE key = ?", (key,))
        row = chunk.at, chunk.at
    kept_from, ends_at = row
    text = chunk.text[ends_at - chunk.at :]
    if not text:
        return
    ends_at += len(text)
    kept_from = max(kept_from, ends_at - chunk.limit)
    connection.execute(_PUT_LOG, (key, kept_from, ends_at, chunk.expires_at))
    connection.execute("DELETE FROM pieces WHERE key = ? AND ends_at <= ?", (key, kept_from))
    connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (key, ends_at, text[-chunk.limit :]))
