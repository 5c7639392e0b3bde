"""One SQLite file that several processes share: opened when it is first used, and again when it was replaced."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from renderctl.core.clocks import Clock
from renderctl.core.private_files import BESIDE_SQLITE, make_private, make_private_folder

_OPEN_RETRY_S = 0.01


@dataclass(frozen=True)
class Layout:
    """How a file is set up."""

    schema: str  #: statements that make what is absent
    synchronous: str  #: NORMAL: survives a crash of the machine unharmed; OFF: may be lost with it
    busy_timeout_s: float  #: how long another writer is waited for


class SqliteFile:
    """A connection for all threads of this process. What goes wrong is an `sqlite3.Error` or an `OSError`."""

    def __init__(self, path: Path, layout: Layout, clock: Clock) -> None:
        self.path = path
        self._layout = layout
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = -1

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone, in autocommit mode."""
        with self._lock:
            if self._connection is None or self._inode != self._inode_now():
                self._reopen()
            assert self._connection is not None
            yield self._connection

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            self._drop()

    def remove(self) -> None:
        """Delete the file and what SQLite keeps beside it."""
        with self._lock:
            self._drop()
            for suffix in ("", *BESIDE_SQLITE):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _inode_now(self) -> int:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return -1

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reopen(self) -> None:
        self._drop()
        make_private_folder(self.path.parent)
        make_private(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self._layout.busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
            self._inode = self._inode_now()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        # Going over to WAL takes an exclusive lock, for which SQLite does not call the busy timeout.
        give_up = self._clock.monotonic() + self._layout.busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or self._clock.monotonic() >= give_up:
                    raise
                self._clock.wait(None, _OPEN_RETRY_S)
        connection.execute(f"PRAGMA synchronous = {self._layout.synchronous}")
        connection.executescript(self._layout.schema)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing. IMMEDIATE holds the pen from the start; DEFERRED sees one moment while others write."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
