"""An SQLite file that several processes share: opened on first use, and again after it was replaced."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from renderctl.core.clocks import Clock
from renderctl.core.private_files import SQLITE_SUFFIXES, make_private, make_private_folder

_OPEN_RETRY_S = 0.01


@dataclass(frozen=True)
class SqliteOptions:
    """The schema and pragmas of a file."""

    schema: str  #: statements that create missing tables
    synchronous: str  #: NORMAL survives a crash of the machine; OFF may lose the file
    busy_timeout_s: float  #: seconds to wait for another writer


class SqliteFile:
    """One connection, shared by all threads of this process. Raises sqlite3.Error or OSError."""

    def __init__(self, path: Path, options: SqliteOptions, clock: Clock) -> None:
        self.path = path
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = -1

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to this thread exclusively, in autocommit mode."""
        with self._lock:
            if self._connection is None or self._inode != self._current_inode():
                self._reopen()
            assert self._connection is not None
            yield self._connection

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._close()

    def remove(self) -> None:
        """Delete the file and those that SQLite keeps beside it."""
        with self._lock:
            self._close()
            for suffix in ("", *SQLITE_SUFFIXES):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _current_inode(self) -> int:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return -1

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reopen(self) -> None:
        self._close()
        make_private_folder(self.path.parent)
        make_private(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self._options.busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
            self._inode = self._current_inode()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        # Switching to WAL takes an exclusive lock, to which SQLite does not apply the busy timeout.
        deadline = self._clock.monotonic() + self._options.busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or self._clock.monotonic() >= deadline:
                    raise
                self._clock.wait(None, _OPEN_RETRY_S)
        connection.execute(f"PRAGMA synchronous = {self._options.synchronous}")
        connection.executescript(self._options.schema)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Run the block in a transaction. IMMEDIATE takes the write lock at once; DEFERRED reads one snapshot."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
