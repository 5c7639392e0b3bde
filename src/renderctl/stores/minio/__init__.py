"""The store of a farm: a bucket of MinIO or any other S3.

blobs/ab/cdef…     a blob, by its SHA-256; an object appears whole or not at all, and always with the same bytes
logs/_ab/….log     the log of an attempt
incoming/…         what somebody has put by a presigned address, until it was looked at
probes/…           what `check` and the garbage collection write and remove
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from urllib.parse import quote, unquote

from minio import S3Error

from renderctl.core.errors import BlobDamaged, InvalidInput, NotStored, OutputNotWritable, StoreUnavailable
from renderctl.core.settings import StoreSettings
from renderctl.stores import Store, StoredBlob, StoredLog
from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.client import connect
from renderctl.stores.minio.errors import translated
from renderctl.stores.minio.multipart import PART, PARTS_AT_A_TIME, iter_parts, part, send
from renderctl.stores.minio.staging import forget_staged, promote, staging_key
from renderctl.stores.minio.verifying_reader import IterableReader, promised, up_to

_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Bytes up to which a file is small: many are on their way at a time, each whole in memory.
_SMALL = 1 << 20
#: Larger ones that are sent at a time, and those that go in parts, each with `PARTS_AT_A_TIME + 1` of them in memory.
_WHOLE_AT_A_TIME, _LARGE_AT_A_TIME = 16, 3
#: Bytes of a log that are asked for at a time.
_LOG_PIECE = 1 << 20
#: Seconds until an answer begins, at most, where somebody asks what is broken: half of what that costs.
_CHECK_PATIENCE_S = 4.5
#: After this time, whoever began to send the parts of a file must be dead.
_DEAD_AFTER = timedelta(days=1)


class MinioStore(Store):
    """Blobs and logs in one bucket, which is made if it is not there; any number of processes may share it."""

    parallel = 64

    def __init__(self, settings: StoreSettings, *, patience_s: float = 30.0) -> None:
        self._settings = settings
        self._patience_s = patience_s
        self._name = f"The S3 store {settings.endpoint}"
        connections = self.parallel + _LARGE_AT_A_TIME * PARTS_AT_A_TIME
        client = connect(settings, connections=connections, patience_s=patience_s)
        self._bucket = Bucket(client, settings.bucket)
        self._opening = threading.Lock()
        self._opened = False
        self._whole = threading.BoundedSemaphore(_WHOLE_AT_A_TIME)
        self._large = threading.BoundedSemaphore(_LARGE_AT_A_TIME)

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        key = _blob_key(digest)
        with self._ready() as bucket:
            if not replace and self._touched(bucket, path, digest):
                return False
            with promised(path, digest) as file:
                if file.size <= PART:
                    with nullcontext() if file.size <= _SMALL else self._whole:
                        bucket.put(key, file.all())
                    return True
                with self._large:
                    send(bucket, key, file)
                    return True

    def get(self, digest: str, path: Path) -> None:
        key = _blob_key(digest)
        part = path.with_name(f".{os.urandom(8).hex()}.part")
        with self._ready() as bucket:
            coming = iter_parts(bucket, key)
            first = next(coming, None)
            if first is None:
                raise NotStored(f"{self._name} has no blob {digest}.")
            try:
                if _write(part, chain([first], coming)) != digest:
                    raise BlobDamaged(f"{self._name} has a damaged blob {digest}.")
                part.replace(path)
            except OSError as error:
                raise OutputNotWritable(f"{path} can not be written: {error.strerror or error}.") from error
            finally:
                coming.close()
                with suppress(OSError):
                    part.unlink()

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        key, at = _blob_key(digest), start
        with self._ready() as bucket:
            while end is None or at < end:
                found = part(bucket, key, at, PART if end is None else min(PART, end - at))
                if found is None:
                    raise NotStored(f"{self._name} has no blob {digest}.")
                content, total = found
                end = total if end is None else min(end, total)
                if content:
                    yield content
                at += len(content)

    def url(self, digest: str, name: str, expires_s: float) -> str:
        key = _blob_key(digest)
        with self._ready() as bucket:
            return bucket.url(key, name, timedelta(seconds=expires_s))

    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        with self._ready() as bucket:
            return bucket.put_url(staging_key(name), size, timedelta(seconds=expires_s))

    def promote(self, name: str, digest: str, size: int) -> None:
        with self._ready() as bucket:
            promote(bucket, staging_key(name), (_blob_key(digest), digest, size))

    def missing(self, digests: set[str]) -> set[str]:
        keys = {digest: _blob_key(digest) for digest in digests}
        with self._ready() as bucket, ThreadPoolExecutor(self.parallel) as pool:
            found = zip(keys, pool.map(bucket.stat, keys.values()), strict=True)
            missing = {digest for digest, each in found if each is None}
            if missing:
                bucket.look()  # an answer without a body does not tell a missing blob from a missing bucket
            return missing

    def free_bytes(self) -> int | None:
        return None

    def blobs(self) -> Iterator[StoredBlob]:
        for key, size, age_s in self._listed("blobs/"):
            digest = key.removeprefix("blobs/").replace("/", "", 1)
            if _DIGEST.fullmatch(digest):
                yield StoredBlob(digest, size, age_s)

    def remove(self, digests: Iterable[str]) -> None:
        self._remove(_blob_key(digest) for digest in digests)

    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        coming = iter(pieces)
        first = b"".join(up_to(coming, PART))
        with self._ready() as bucket:
            if len(first) < PART:
                bucket.put(_log_key(attempt_id), first)
                return
            with self._large:
                bucket.put_stream(_log_key(attempt_id), IterableReader(chain([first], coming)), PART)

    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        key, at = _log_key(attempt_id), start
        with self._ready() as bucket:
            stat = bucket.stat(key)
            end = min(end if end is not None else 1 << 62, (stat.size or 0) if stat else 0)
            while at < end:
                found = part(bucket, key, at, min(_LOG_PIECE, end - at))
                if found is None or not found[0]:
                    return  # removed meanwhile
                yield found[0]
                at += len(found[0])

    def log_size(self, attempt_id: str) -> int | None:
        with self._ready() as bucket:
            stat = bucket.stat(_log_key(attempt_id))
            return None if stat is None else stat.size or 0

    def logs(self) -> Iterator[StoredLog]:
        for key, size, age_s in self._listed("logs/"):
            attempt_id = unquote(key.rpartition("/")[2].removesuffix(".log"))
            yield StoredLog(attempt_id, size, age_s)

    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        self._remove(_log_key(attempt_id) for attempt_id in attempt_ids)

    def check(self) -> str:
        if self._patience_s > _CHECK_PATIENCE_S:
            return MinioStore(self._settings, patience_s=_CHECK_PATIENCE_S).check()
        with self._ready() as bucket, self._probe(bucket) as (probe, now):
            if b"".join(iter_parts(bucket, probe)) != b"renderctl":
                raise StoreUnavailable(f"{self._name} does not keep what is written to it.")
            bucket.abort_uploads(before=now - _DEAD_AFTER)
        return f"S3 store {self._settings.endpoint}, bucket {bucket.name}"

    def _touched(self, bucket: Bucket, path: Path, digest: str) -> bool:
        """Whether the file is large and a blob already; it is read to its end all the same."""
        key = _blob_key(digest)
        with promised(path, digest) as file:
            if file.size <= PART or not bucket.has(key, file.size):
                return False
            with self._large:
                file.verify()
                return bucket.touch(key, file.size)

    @contextmanager
    def _ready(self) -> Iterator[Bucket]:
        """The bucket, which is there; what is refused is StoreUnavailable."""
        with translated(self._settings):
            with self._opening:
                if not self._opened:
                    self._open()
                    self._opened = True
            yield self._bucket

    def _open(self) -> None:
        try:
            self._bucket.look()
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            self._make_bucket()

    def _make_bucket(self) -> None:
        try:
            self._bucket.make(self._settings.region)
        except S3Error as error:
            if error.code not in ("AccessDenied", "TooManyBuckets"):
                raise
            raise StoreUnavailable(
                f"{self._name} has no bucket {self._bucket.name}, and does not let these keys make one ({error.code}).",
                hint="Make the bucket, or allow s3:CreateBucket.",
            ) from error

    @contextmanager
    def _probe(self, bucket: Bucket) -> Iterator[tuple[str, datetime]]:
        """An object that says `renderctl`, and what o'clock it is for the store."""
        key = f"probes/{os.urandom(8).hex()}"
        bucket.put(key, b"renderctl")
        try:
            found = bucket.stat(key)
            if found is None or found.last_modified is None:
                raise StoreUnavailable(f"{self._name} does not keep what is written to it.")
            yield key, found.last_modified
        finally:
            bucket.remove([key])

    def _listed(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """Key, bytes and seconds since the last put of every object; forgets what dead writers left."""
        with self._ready() as bucket:
            with self._probe(bucket) as (_, now):
                bucket.abort_uploads(before=now - _DEAD_AFTER)
                forget_staged(bucket, before=now - _DEAD_AFTER)
            for each in bucket.list(prefix):
                age_s = (now - (each.last_modified or now)).total_seconds()
                yield each.object_name or "", each.size or 0, max(0.0, age_s)

    def _remove(self, keys: Iterable[str]) -> None:
        with self._ready() as bucket:
            bucket.remove(keys)


def _blob_key(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest!r} is not a SHA-256 in hex.")
    return f"blobs/{digest[:2]}/{digest[2:]}"


def _log_key(attempt_id: str) -> str:
    name = quote(attempt_id, safe="")
    return f"logs/_{name[-2:]}/{name}.log"


def _write(path: Path, content: Iterable[bytes]) -> str:
    """Write a new file; the SHA-256 of what was written."""
    found = hashlib.sha256()
    with path.open("xb", buffering=0) as file:
        for piece in content:
            rest = memoryview(piece)
            found.update(rest)
            while rest:
                rest = rest[file.write(rest) :]
    return found.hexdigest()
