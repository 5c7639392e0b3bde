"""SHA-256 of files, remembered for as long as a file is the same.

A file is the same when its size, times of change and inode are. Its `ctime` can not be set back, so a copy that keeps
the time of the original, or a file that is put in another's place, is read again. What was changed a moment before it
was read is not remembered: it may change once more within the same tick of the file system's clock.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from renderctl.core.clocks import Clock
from renderctl.core.errors import FileChanged, InvalidInput, SceneNotFound
from renderctl.core.sqlite_file import SqliteFile, SqliteOptions, transaction
from renderctl.farm import Farm, OnProgress, Progress, ignore_progress

logger = logging.getLogger(__name__)

#: Threads that read.
_PARALLEL = 8
#: Files and bytes that one reads in a row: to hand over a small file takes longer than to read it.
_ROW_FILES, _ROW_BYTES = 16, 1 << 20
#: Bytes that are read at once.
_AT_ONCE = 1 << 18
#: Seconds: longer than any tick of a file system's clock (FAT has 2).
_TICK_S = 2.0
#: Days after which a file that nobody asked for is forgotten.
_KEPT_DAYS = 90
_LAYOUT = SqliteOptions(
    schema="""
        CREATE TABLE IF NOT EXISTS file_hash (
            path BLOB PRIMARY KEY, identity TEXT NOT NULL, digest TEXT NOT NULL, used_day INTEGER NOT NULL
        ) WITHOUT ROWID
    """,
    synchronous="NORMAL",
    busy_timeout_s=10.0,
)


@dataclass(frozen=True)
class Hashed:
    digest: str  #: SHA-256 in hex
    size: int  #: bytes


@dataclass(frozen=True)
class _Found:
    """A file as it was found."""

    size: int
    identity: str  #: changes whenever the file does
    changed: float  #: when it last did, seconds since 1970 by the file system's clock


def hash_files(farm: Farm, sources: Collection[Path], on_advance: OnProgress = ignore_progress) -> dict[Path, Hashed]:
    """The hash of every file; those that are remembered are not read. Raises SceneNotFound, InvalidInput."""
    memory = HashCache(farm.settings.data_dir / "hashes.db", farm.clock)
    try:
        entries = {source: _look(source) for source in sources}
        hashed = memory.recall(entries)
        unread = {source: stamp for source, stamp in entries.items() if source not in hashed}
        settled = farm.clock.now().timestamp() - _TICK_S
        fresh = {}
        with ThreadPoolExecutor(_PARALLEL) as pool:  # hashing lets other threads run
            read = chain.from_iterable(pool.map(_read_row, _rows(unread)))
            for source, hashed_file in zip(unread, read, strict=True):
                fresh[source] = hashed_file
                on_advance(Progress("Reading", len(hashed) + len(fresh), len(sources)))
        memory.keep({source: entry for source, entry in fresh.items() if entry[0].changed < settled})
        return hashed | {source: Hashed(digest, was.size) for source, (was, digest) in fresh.items()}
    finally:
        memory.close()


def hash_file(source: Path) -> Hashed:
    """The hash of one file, read just now. Raises SceneNotFound, FileChanged, InvalidInput."""
    entry, digest = _read(source)
    return Hashed(digest, entry.size)


def _look(source: Path) -> _Found:
    with _readable(source):
        return _found(source.stat())


def _rows(files: Mapping[Path, _Found]) -> Iterator[list[Path]]:
    row: list[Path] = []
    size = 0
    for source, file in files.items():
        if row and (len(row) == _ROW_FILES or size + file.size > _ROW_BYTES):
            yield row
            row, size = [], 0
        row.append(source)
        size += file.size
    if row:
        yield row


def _read_row(sources: Sequence[Path]) -> list[tuple[_Found, str]]:
    return [_read(source) for source in sources]


def _read(source: Path) -> tuple[_Found, str]:
    with _readable(source), source.open("rb", buffering=0) as file:
        before = _found(os.fstat(file.fileno()))
        if before.size <= _AT_ONCE:
            digest = hashlib.sha256(file.read()).hexdigest()
        else:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _found(os.fstat(file.fileno())) != before:
            raise FileChanged(
                f"{source} changed while it was read.", hint="Try again when nothing writes to it any more."
            )
        return before, digest


def _found(stat: os.stat_result) -> _Found:
    identity = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    return _Found(stat.st_size, identity, stat.st_ctime)


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SceneNotFound(f"{source} is gone.", hint="It was there a moment ago.") from error
    except OSError as error:
        raise InvalidInput(f"{source} can not be read: {error.strerror}.") from error


class HashCache:
    """Remembers hashes in a file of this machine. One that can not be used remembers nothing."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = SqliteFile(path, _LAYOUT, clock)
        self._day = int(clock.now().timestamp() // 86400)

    def recall(self, found: Mapping[Path, _Found]) -> dict[Path, Hashed]:
        """Those of the files that are as they were."""
        hashed: dict[Path, Hashed] = {}
        with self._forgiven(), self._file.connection() as connection:
            stale = []
            for source, entry in found.items():
                query = "SELECT identity, digest, used_day FROM file_hash WHERE path = ?"
                row = connection.execute(query, (os.fsencode(source),)).fetchone()
                if row is not None and row[0] == entry.identity:
                    hashed[source] = Hashed(row[1], entry.size)
                    if row[2] != self._day:
                        stale.append((self._day, os.fsencode(source)))
            if stale:
                with transaction(connection):
                    connection.executemany("UPDATE file_hash SET used_day = ? WHERE path = ?", stale)
        return hashed

    def keep(self, read: Mapping[Path, tuple[_Found, str]]) -> None:
        rows = [(os.fsencode(source), each.identity, digest, self._day) for source, (each, digest) in read.items()]
        if not rows:
            return
        with self._forgiven(), self._file.connection() as connection, transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO file_hash VALUES (?, ?, ?, ?)", rows)
            connection.execute("DELETE FROM file_hash WHERE used_day < ?", (self._day - _KEPT_DAYS,))

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            logger.info("the hashes of files are not remembered: %s", error)
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                with suppress(OSError):  # what is damaged is begun anew
                    self._file.remove()
