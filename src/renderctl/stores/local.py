"""The embedded store: files below one directory.

blobs/ab/cdef…     a blob, by its SHA-256; complete as soon as it has its name, never written again
logs/ab/….log      the log of an attempt
incoming/*.part    temporary files of blobs and logs that are being written
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
_ABANDONED_AFTER_S = 3600.0
_HINTS = {
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EFBIG: "The file system does not allow files of this size.",
    errno.EACCES: "This user may not write there.",
    errno.EPERM: "This user may not write there.",
    errno.EROFS: "The disk is read-only.",
    errno.ENOENT: "A folder is missing. Is the disk mounted?",
    errno.ENOTDIR: "A file is in the place of a folder.",
}


class LocalStore(Store):
    """Blobs and logs below `root`, which is created on first use; any number of processes may share it."""

    removal_limit_s = 10.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs"
        self._logs = root / "logs"
        self._incoming = root / "incoming"
        self._prepared = False

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        """Write a temporary file, fsync it, and rename it to the blob; a large file that is stored is only hashed."""
        blob = self._blob(digest)
        with self._require_root():
            if not replace and _has_same_size(path, blob):
                _require_digest(path, _hash(_chunks(path, DigestMismatch)), digest)
                if _touch(blob):
                    return False
            _make(blob.parent)
            with self._temporary_file() as part:
                _require_digest(path, _write(part, _chunks(path, DigestMismatch), durable=True), digest)
                part.chmod(0o444)
                part.replace(blob)
            _sync(blob.parent)
            return True

    def get(self, digest: str, path: Path) -> None:
        """Copy the blob to a temporary file beside `path`, verify it, and rename it."""
        blob = self._blob(digest)
        with self._require_root():
            if not blob.is_file():
                raise NotStored(f"The store {self.root} has no blob {digest}.")
        part = path.with_name(f".{os.urandom(8).hex()}.part")
        try:
            with _translate_errors(OutputNotWritable, f"{path} cannot be written"):
                if _write(part, _chunks(blob, StoreUnavailable), durable=False) != digest:
                    raise BlobDamaged(f"Blob {digest} in the store {self.root} is damaged.")
                part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a range of the blob's file."""
        blob = self._blob(digest)
        with self._require_root():
            if not blob.is_file():
                raise NotStored(f"The store {self.root} has no blob {digest}.")
            with blob.open("rb", buffering=0) as file:
                yield from _range(file, start, blob.stat().st_size if end is None else end)

    def url(self, digest: str, name: str, expires_s: float) -> str:
        """Return the file URL of the blob."""
        return self._blob(digest).absolute().as_uri()

    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        """Return None: a folder has no presigned uploads."""
        return None

    def promote(self, name: str, digest: str, size: int) -> None:
        """Raise NotStored: a folder has no presigned uploads."""
        raise NotStored(f"The store {self.root} has no presigned uploads: {name} was never put.")

    def missing(self, digests: set[str]) -> set[str]:
        """Return the digests without a file."""
        with self._require_root():
            return {digest for digest in digests if not self._blob(digest).is_file()}

    def free_bytes(self) -> int | None:
        """Return the free space of the file system, in bytes."""
        with self._require_root():
            return shutil.disk_usage(self._blobs).free

    def blobs(self) -> Iterator[StoredBlob]:
        """List the folders one by one."""
        with self._require_root():
            now = self._now()
            for folder in sorted(self._blobs.iterdir()):
                for name, stat in sorted(_files(folder)):
                    if _DIGEST.fullmatch(folder.name + name):
                        yield StoredBlob(folder.name + name, stat.st_size, max(0.0, now - stat.st_mtime))

    def remove(self, digests: Iterable[str]) -> None:
        """Unlink the blobs' files."""
        with self._require_root():
            for digest in digests:
                self._blob(digest).unlink(missing_ok=True)

    def put_log(self, attempt_id: str, chunks: Iterable[bytes]) -> None:
        """Write a temporary file and rename it; a log is not fsynced."""
        log = self._log(attempt_id)
        with self._require_root():
            _make(log.parent)
            with self._temporary_file() as part:
                _write(part, chunks, durable=False)
                part.replace(log)

    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a range of the log's file."""
        with self._require_root():
            try:
                file = self._log(attempt_id).open("rb", buffering=0)
            except FileNotFoundError:
                return
            with file:
                yield from _range(file, start, os.fstat(file.fileno()).st_size if end is None else end)

    def log_size(self, attempt_id: str) -> int | None:
        """Return the size of the log's file in bytes, or None."""
        with self._require_root():
            try:
                return self._log(attempt_id).stat().st_size
            except FileNotFoundError:
                return None

    def logs(self) -> Iterator[StoredLog]:
        """List the folders one by one."""
        with self._require_root():
            now = self._now()
            for folder in self._logs.iterdir():
                for name, stat in _files(folder):
                    attempt_id = unquote(name.removesuffix(".log"))
                    yield StoredLog(attempt_id, stat.st_size, max(0.0, now - stat.st_mtime))

    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        """Unlink the logs' files."""
        with self._require_root():
            for attempt_id in attempt_ids:
                self._log(attempt_id).unlink(missing_ok=True)

    def check(self) -> str:
        """Write and read a temporary file; return the folder and its free space."""
        with self._require_root(), self._temporary_file() as probe:
            _write(probe, [b"renderctl"], durable=True)
            if probe.read_bytes() != b"renderctl":
                raise StoreUnavailable(f"The store {self.root} does not return what was written to it.")
            return f"folder {self.root}, {shutil.disk_usage(self.root).free / 1e9:.0f} GB free"

    def _blob(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput(f"{digest!r} is not a hexadecimal SHA-256.")
        return self._blobs / digest[:2] / digest[2:]

    def _log(self, attempt_id: str) -> Path:
        name = quote(attempt_id, safe="")
        return self._logs / f"_{name[-2:]}" / f"{name}.log"

    @contextmanager
    def _require_root(self) -> Iterator[None]:
        """Ensure that the root exists; errors of the system become StoreUnavailable."""
        with _translate_errors(StoreUnavailable, f"The store {self.root} cannot be used"):
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
                if now - part.stat().st_mtime > _ABANDONED_AFTER_S:
                    part.unlink()
        self._prepared = True

    def _now(self) -> float:
        """Return the Unix time by the clock of the file system, which may be another machine's."""
        os.utime(self._incoming)
        return self._incoming.stat().st_mtime

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        """Yield the path of a temporary file; it is removed unless it was renamed."""
        part = self._incoming / f"{os.urandom(8).hex()}.part"
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _translate_errors(error_type: type[RenderctlError], prefix: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        location = f" ({error.filename})" if error.filename else ""
        message = f"{prefix}: {error.strerror or error}{location}."
        raise error_type(message, hint=_HINTS.get(error.errno or 0)) from error


def _chunks(path: Path, error_type: type[RenderctlError]) -> Iterator[memoryview]:
    """Yield the bytes of a file; an error of reading raises `error_type`, to tell it from an error of writing."""
    with _translate_errors(error_type, f"{path} cannot be read"), path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_CHUNK))
        while size := file.readinto(buffer):
            yield buffer[:size]


def _range(file: FileIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of an open file from `start` up to `end`, or to its end if it is shorter."""
    file.seek(start)
    remaining = end - start
    while remaining > 0 and (chunk := file.read(min(_CHUNK, remaining))):
        yield chunk
        remaining -= len(chunk)


def _write(path: Path, chunks: Iterable[bytes | memoryview], *, durable: bool) -> str:
    """Write a new file; return the SHA-256 of its bytes. `durable`: fsync it."""
    digest = hashlib.sha256()
    with path.open("xb", buffering=0) as file, ThreadPoolExecutor(max_workers=1) as hasher:
        for chunk in chunks:
            if len(chunk) < _CHUNK:
                digest.update(chunk)
                _write_all(file, chunk)
            else:
                hashed = hasher.submit(digest.update, chunk)
                _write_all(file, chunk)
                hashed.result()
        if durable:
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


def _require_digest(path: Path, actual_digest: str, digest: str) -> None:
    if actual_digest != digest:
        raise DigestMismatch(f"{path} has changed: its SHA-256 is {actual_digest}, not {digest}.")


def _has_same_size(path: Path, blob: Path) -> bool:
    """Return whether the blob exists with the file's size: a crash of the machine may have truncated it."""
    try:
        return blob.stat().st_size == path.stat().st_size
    except FileNotFoundError:
        return False


def _touch(blob: Path) -> bool:
    """Reset the blob's age to zero; returns False if it is gone or not ours to touch."""
    try:
        os.utime(blob)
    except (FileNotFoundError, PermissionError):  # another user's file cannot be touched: it is replaced
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
