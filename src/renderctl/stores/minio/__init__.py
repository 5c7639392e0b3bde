"""The store of a farm: a bucket of MinIO or any other S3.

blobs/ab/cdef…     a blob, by its SHA-256; an object appears whole or not at all, and always with the same bytes
logs/_ab/….log     the log of an attempt
incoming/…         files that were put by a presigned URL, until they are promoted
probes/…           objects that `check` and the garbage collection write and remove
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
from renderctl.stores.minio.errors import translate_errors
from renderctl.stores.minio.multipart import PARALLEL_PARTS, PART_BYTES, get_part, iter_parts, put_multipart
from renderctl.stores.minio.staging import promote, remove_abandoned, staging_key
from renderctl.stores.minio.verifying_reader import IterableReader, take_bytes, verifying_reader

_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Bytes up to which a file is small: many are sent at a time, each as a whole from memory.
_SMALL_BYTES = 1 << 20
#: How many larger files are sent at a time as a whole, and in parts (each with `PARALLEL_PARTS + 1` in memory).
_PARALLEL_WHOLE, _PARALLEL_LARGE = 16, 3
#: Bytes of a log that are requested at a time.
_LOG_CHUNK_BYTES = 1 << 20
#: Seconds to wait for a response in `check`; a silent endpoint costs two of them.
_CHECK_TIMEOUT_S = 4.5
#: A multipart or staged upload that is older than this has been abandoned.
_ABANDONED_AFTER = timedelta(days=1)


class MinioStore(Store):
    """Blobs and logs in one bucket, which is created if it is missing; any number of processes may share it.

    `timeout_s`: seconds to wait for a response to begin or to continue."""

    parallel = 64

    def __init__(self, settings: StoreSettings, *, timeout_s: float = 30.0) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._name = f"The S3 store {settings.endpoint}"
        connections = self.parallel + _PARALLEL_LARGE * PARALLEL_PARTS
        client = connect(settings, connections=connections, timeout_s=timeout_s)
        self._bucket = Bucket(client, settings.bucket)
        self._open_lock = threading.Lock()
        self._is_open = False
        self._whole_slots = threading.BoundedSemaphore(_PARALLEL_WHOLE)
        self._large_slots = threading.BoundedSemaphore(_PARALLEL_LARGE)

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        """Send the file in one request, or in parts if it is large; verified before its last bytes are sent."""
        key = _blob_key(digest)
        with self._open_bucket() as bucket:
            if not replace and self._reuse_large(bucket, path, digest):
                return False
            with verifying_reader(path, digest) as file:
                if file.size <= PART_BYTES:
                    with nullcontext() if file.size <= _SMALL_BYTES else self._whole_slots:
                        bucket.put(key, file.read_all())
                    return True
                with self._large_slots:
                    put_multipart(bucket, key, file)
                    return True

    def get(self, digest: str, path: Path) -> None:
        """Download the blob in parallel parts to a temporary file beside `path`, verify it, and rename it."""
        key = _blob_key(digest)
        temporary = path.with_name(f".{os.urandom(8).hex()}.part")
        with self._open_bucket() as bucket:
            chunks = iter_parts(bucket, key)
            first = next(chunks, None)
            if first is None:
                raise NotStored(f"{self._name} has no blob {digest}.")
            try:
                if _write_file(temporary, chain([first], chunks)) != digest:
                    raise BlobDamaged(f"{self._name} has a damaged blob {digest}.")
                temporary.replace(path)
            except OSError as error:
                raise OutputNotWritable(f"{path} cannot be written: {error.strerror or error}.") from error
            finally:
                chunks.close()
                with suppress(OSError):
                    temporary.unlink()

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a range of the blob with range requests."""
        key, at = _blob_key(digest), start
        with self._open_bucket() as bucket:
            while end is None or at < end:
                response = get_part(bucket, key, at, PART_BYTES if end is None else min(PART_BYTES, end - at))
                if response is None:
                    raise NotStored(f"{self._name} has no blob {digest}.")
                content, total = response
                end = total if end is None else min(end, total)
                if content:
                    yield content
                at += len(content)

    def url(self, digest: str, name: str, expires_s: float) -> str:
        """Return a presigned GET URL."""
        key = _blob_key(digest)
        with self._open_bucket() as bucket:
            return bucket.url(key, name, timedelta(seconds=expires_s))

    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        """Return a presigned PUT URL below `incoming/`, with the size signed."""
        with self._open_bucket() as bucket:
            return bucket.put_url(staging_key(name), size, timedelta(seconds=expires_s))

    def promote(self, name: str, digest: str, size: int) -> None:
        """Have the server copy the staged object aside, verify the copy, and have it copied to the blob's key."""
        with self._open_bucket() as bucket:
            promote(bucket, staging_key(name), (_blob_key(digest), digest, size))

    def missing(self, digests: set[str]) -> set[str]:
        """HEAD the objects in parallel."""
        keys = {digest: _blob_key(digest) for digest in digests}
        with self._open_bucket() as bucket, ThreadPoolExecutor(self.parallel) as pool:
            stats = zip(keys, pool.map(bucket.stat, keys.values()), strict=True)
            missing = {digest for digest, stat in stats if stat is None}
            if missing:
                bucket.require()  # a HEAD response does not tell a missing blob from a missing bucket
            return missing

    def free_bytes(self) -> int | None:
        """Return None: S3 does not tell."""
        return None

    def blobs(self) -> Iterator[StoredBlob]:
        """List the objects below `blobs/`, a thousand per request."""
        for key, size, age_s in self._list("blobs/"):
            digest = key.removeprefix("blobs/").replace("/", "", 1)
            if _DIGEST.fullmatch(digest):
                yield StoredBlob(digest, size, age_s)

    def remove(self, digests: Iterable[str]) -> None:
        """Delete the blobs' objects, a thousand per request."""
        self._remove(_blob_key(digest) for digest in digests)

    def put_log(self, attempt_id: str, chunks: Iterable[bytes]) -> None:
        """Put the log in one request, or in parts if it is large."""
        chunks = iter(chunks)
        first = b"".join(take_bytes(chunks, PART_BYTES))
        with self._open_bucket() as bucket:
            if len(first) < PART_BYTES:
                bucket.put(_log_key(attempt_id), first)
                return
            with self._large_slots:
                bucket.put_stream(_log_key(attempt_id), IterableReader(chain([first], chunks)), PART_BYTES)

    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a range of the log with range requests."""
        key, at = _log_key(attempt_id), start
        with self._open_bucket() as bucket:
            stat = bucket.stat(key)
            end = min(end if end is not None else 1 << 62, (stat.size or 0) if stat else 0)
            while at < end:
                response = get_part(bucket, key, at, min(_LOG_CHUNK_BYTES, end - at))
                if response is None or not response[0]:
                    return  # removed meanwhile
                yield response[0]
                at += len(response[0])

    def log_size(self, attempt_id: str) -> int | None:
        """HEAD the log's object."""
        with self._open_bucket() as bucket:
            stat = bucket.stat(_log_key(attempt_id))
            return None if stat is None else stat.size or 0

    def logs(self) -> Iterator[StoredLog]:
        """List the objects below `logs/`, a thousand per request."""
        for key, size, age_s in self._list("logs/"):
            attempt_id = unquote(key.rpartition("/")[2].removesuffix(".log"))
            yield StoredLog(attempt_id, size, age_s)

    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        """Delete the logs' objects, a thousand per request."""
        self._remove(_log_key(attempt_id) for attempt_id in attempt_ids)

    def check(self) -> str:
        """Put, get and delete a probe with a short time-out; return endpoint and bucket. Aborts abandoned uploads."""
        if self._timeout_s > _CHECK_TIMEOUT_S:
            return MinioStore(self._settings, timeout_s=_CHECK_TIMEOUT_S).check()
        with self._open_bucket() as bucket, self._probe(bucket) as (probe, now):
            if b"".join(iter_parts(bucket, probe)) != b"renderctl":
                raise StoreUnavailable(f"{self._name} does not return what was written to it.")
            bucket.abort_uploads(before=now - _ABANDONED_AFTER)
        return f"S3 store {self._settings.endpoint}, bucket {bucket.name}"

    def _reuse_large(self, bucket: Bucket, path: Path, digest: str) -> bool:
        """Return whether the file is large and stored already: it is only verified then, and its age reset."""
        key = _blob_key(digest)
        with verifying_reader(path, digest) as file:
            if file.size <= PART_BYTES or not bucket.has(key, file.size):
                return False
            with self._large_slots:
                file.verify()
                return bucket.touch(key, file.size)

    @contextmanager
    def _open_bucket(self) -> Iterator[Bucket]:
        """Yield the bucket, which exists; errors of the client become StoreUnavailable."""
        with translate_errors(self._settings):
            with self._open_lock:
                if not self._is_open:
                    self._ensure_bucket()
                    self._is_open = True
            yield self._bucket

    def _ensure_bucket(self) -> None:
        try:
            self._bucket.require()
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            self._create_bucket()

    def _create_bucket(self) -> None:
        try:
            self._bucket.create(self._settings.region)
        except S3Error as error:
            if error.code not in ("AccessDenied", "TooManyBuckets"):
                raise
            raise StoreUnavailable(
                f"{self._name} has no bucket {self._bucket.name} and these keys may not create one ({error.code}).",
                hint="Create the bucket, or allow s3:CreateBucket.",
            ) from error

    @contextmanager
    def _probe(self, bucket: Bucket) -> Iterator[tuple[str, datetime]]:
        """Put an object that holds `renderctl`; yield its key and the store's time. It is removed afterwards."""
        key = f"probes/{os.urandom(8).hex()}"
        bucket.put(key, b"renderctl")
        try:
            probe = bucket.stat(key)
            if probe is None or probe.last_modified is None:
                raise StoreUnavailable(f"{self._name} does not return what was written to it.")
            yield key, probe.last_modified
        finally:
            bucket.remove([key])

    def _list(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """Yield key, size in bytes and age in seconds of every object; removes abandoned uploads first."""
        with self._open_bucket() as bucket:
            with self._probe(bucket) as (_, now):
                bucket.abort_uploads(before=now - _ABANDONED_AFTER)
                remove_abandoned(bucket, before=now - _ABANDONED_AFTER)
            for stored in bucket.list(prefix):
                age_s = (now - (stored.last_modified or now)).total_seconds()
                yield stored.object_name or "", stored.size or 0, max(0.0, age_s)

    def _remove(self, keys: Iterable[str]) -> None:
        with self._open_bucket() as bucket:
            bucket.remove(keys)


def _blob_key(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest!r} is not a hexadecimal SHA-256.")
    return f"blobs/{digest[:2]}/{digest[2:]}"


def _log_key(attempt_id: str) -> str:
    name = quote(attempt_id, safe="")
    return f"logs/_{name[-2:]}/{name}.log"


def _write_file(path: Path, content: Iterable[bytes]) -> str:
    """Write a new file; return the SHA-256 of its bytes."""
    digest = hashlib.sha256()
    with path.open("xb", buffering=0) as file:
        for chunk in content:
            rest = memoryview(chunk)
            digest.update(rest)
            while rest:
                rest = rest[file.write(rest) :]
    return digest.hexdigest()
