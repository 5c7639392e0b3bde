"""The embedded store: files below one directory.

blobs/ab/cdef…     a blob, by its SHA-256; whole from the moment it has its name, never written again
logs/ab/….log      the log of an attempt
incoming/*.part    a blob or a log that is being written
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from urllib.parse import quote, unquote

from renderctl.core.errors import (
    BlobDamaged,
    DigestMismatch,
    InvalidInput,
    NotStored,
    OutputNotWritable,
    RenderctlError,
    StoreUnavailable,
)
from renderctl.core.private_files import ensure_private_folder
from renderctl.stores import Store, StoredBlob, StoredLog

_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DEAD_AFTER_S = 3600.0
_HINTS = {
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EFBIG: "A file may not get this large here.",
    errno.EACCES: "This user may not write there.",
    errno.EPERM: "This user may not write there.",
    errno.EROFS: "The disk is read-only.",
    errno.ENOENT: "A folder is gone. Is the disk mounted?",
    errno.ENOTDIR: "There is a file where a folder should be.",
}


class LocalStore(Store):
    """Blobs and logs below `root`, which is made when it is first used; any number of processes may share it."""

    removal_limit_s = 10.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs"
        self._logs = root / "logs"
        self._incoming = root / "incoming"
        self._prepared = False

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        blob = self._blob(digest)
        with self._ready():
            if not replace and _same_size(path, blob):
                _require_digest(path, _hash(_chunks(path, DigestMismatch)), digest)
                if _refreshed(blob):
                    return False
            _make(blob.parent)
            with self._part() as part:
                _require_digest(path, _write(part, _chunks(path, DigestMismatch), synced=True), digest)
                part.chmod(0o444)
                part.replace(blob)
            _sync(blob.parent)
            return True

    def get(self, digest: str, path: Path) -> None:
        blob = self._blob(digest)
        with self._ready():
            if not blob.is_file():
                raise NotStored(f"The store {self.root} has no blob {digest}.")
        part = path.with_name(f".{os.urandom(8).hex()}.part")
        try:
            with _translated(OutputNotWritable, f"{path} can not be written"):
                if _write(part, _chunks(blob, StoreUnavailable), synced=False) != digest:
                    raise BlobDamaged(f"Blob {digest} in the store {self.root} is damaged.")
                part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        blob = self._blob(digest)
        with self._ready():
            if not blob.is_file():
                raise NotStored(f"The store {self.root} has no blob {digest}.")
            with blob.open("rb", buffering=0) as file:
                yield from _range(file, start, blob.stat().st_size if end is None else end)

    def url(self, digest: str, name: str, expires_s: float) -> str:
        return self._blob(digest).absolute().as_uri()

    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        return None

    def promote(self, name: str, digest: str, size: int) -> None:
        raise NotStored(f"The store {self.root} has no place where {name} could have been put.")

    def missing(self, digests: set[str]) -> set[str]:
        with self._ready():
            return {digest for digest in digests if not self._blob(digest).is_file()}

    def free_bytes(self) -> int | None:
        with self._ready():
            return shutil.disk_usage(self._blobs).free

    def blobs(self) -> Iterator[StoredBlob]:
        with self._ready():
            now = self._now()
            for folder in sorted(self._blobs.iterdir()):
                for name, found in sorted(_files(folder)):
                    if _DIGEST.fullmatch(folder.name + name):
                        yield StoredBlob(folder.name + name, found.st_size, max(0.0, now - found.st_mtime))

    def remove(self, digests: Iterable[str]) -> None:
        with self._ready():
            for digest in digests:
                self._blob(digest).unlink(missing_ok=True)

    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        log = self._log(attempt_id)
        with self._ready():
            _make(log.parent)
            with self._part() as part:
                _write(part, pieces, synced=False)
                part.replace(log)

    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with self._ready():
            try:
                file = self._log(attempt_id).open("rb", buffering=0)
            except FileNotFoundError:
                return
            with file:
                yield from _range(file, start, os.fstat(file.fileno()).st_size if end is None else end)

    def log_size(self, attempt_id: str) -> int | None:
        with self._ready():
            try:
                return self._log(attempt_id).stat().st_size
            except FileNotFoundError:
                return None

    def logs(self) -> Iterator[StoredLog]:
        with self._ready():
            now = self._now()
            for folder in self._logs.iterdir():
                for name, found in _files(folder):
                    attempt_id = unquote(name.removesuffix(".log"))
                    yield StoredLog(attempt_id, found.st_size, max(0.0, now - found.st_mtime))

    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        with self._ready():
            for attempt_id in attempt_ids:
                self._log(attempt_id).unlink(missing_ok=True)

    def check(self) -> str:
        with self._ready(), self._part() as probe:
            _write(probe, [b"renderctl"], synced=True)
            if probe.read_bytes() != b"renderctl":
                raise StoreUnavailable(f"The store {self.root} does not keep what is written to it.")
            return f"folder {self.root}, {shutil.disk_usage(self.root).free / 1e9:.0f} GB free"

    def _blob(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput(f"{digest!r} is not a SHA-256 in hex.")
        return self._blobs / digest[:2] / digest[2:]

    def _log(self, attempt_id: str) -> Path:
        name = quote(attempt_id, safe="")
        return self._logs / f"_{name[-2:]}" / f"{name}.log"

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """The root is there, and what the system refuses is StoreUnavailable."""
        with _translated(StoreUnavailable, f"The store {self.root} can not be used"):
            if not self._prepared:
                self._prepare()
            self._blobs.stat()
            yield

    def _prepare(self) -> None:
        for folder in (self.root, self._blobs, self._logs, self._incoming):
            ensure_private_folder(folder)
        now = self._now()
        for part in self._incoming.glob("*.part"):
            with suppress(FileNotFoundError):
                if now - part.stat().st_mtime > _DEAD_AFTER_S:
                    part.unlink()
        self._prepared = True

    def _now(self) -> float:
        """The time by the clock of the file system: it may be another machine's."""
        os.utime(self._incoming)
        return self._incoming.stat().st_mtime

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """A file to write before it gets its name; removed if it gets none."""
        part = self._incoming / f"{os.urandom(8).hex()}.part"
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _translated(kind: type[RenderctlError], sentence: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        message = f"{sentence}: {error.strerror or error}{place}."
        raise kind(message, hint=_HINTS.get(error.errno or 0)) from error


def _chunks(path: Path, kind: type[RenderctlError]) -> Iterator[memoryview]:
    """The bytes of a file; a `kind` of error when they can not be read, so that it is not taken for the writer's."""
    with _translated(kind, f"{path} can not be read"), path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_CHUNK))
        while size := file.readinto(buffer):
            yield buffer[:size]


def _range(file: FileIO, start: int, end: int) -> Iterator[bytes]:
    """The bytes of an open file from `start` up to `end`, as far as there are any."""
    file.seek(start)
    left = end - start
    while left > 0 and (piece := file.read(min(_CHUNK, left))):
        yield piece
        left -= len(piece)


def _write(path: Path, chunks: Iterable[bytes | memoryview], *, synced: bool) -> str:
    """Write a new file; the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with path.open("xb", buffering=0) as file, ThreadPoolExecutor(max_workers=1) as beside:
        for chunk in chunks:
            if len(chunk) < _CHUNK:
                digest.update(chunk)
                _write_all(file, chunk)
            else:
                hashed = beside.submit(digest.update, chunk)
                _write_all(file, chunk)
                hashed.result()
        if synced:
            os.fsync(file.fileno())
    return digest.hexdigest()


def _write_all(file: FileIO, chunk: bytes | memoryview) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _hash(chunks: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _require_digest(path: Path, actual: str, digest: str) -> None:
    if actual != digest:
        raise DigestMismatch(f"{path} is not what it was: its SHA-256 is {actual}, not {digest}.")


def _same_size(path: Path, blob: Path) -> bool:
    """Whether the blob is there, and whole: one that a crash of the machine cut short is not."""
    try:
        return blob.stat().st_size == path.stat().st_size
    except FileNotFoundError:
        return False


def _refreshed(blob: Path) -> bool:
    """Whether the blob is as young as one just put."""
    try:
        os.utime(blob)
    except (FileNotFoundError, PermissionError):  # another user's can not be refreshed: it is replaced by ours
        return False
    return True


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a folder that are still there when they are looked at."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry.name, entry.stat()


def _make(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir()
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
