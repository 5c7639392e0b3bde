"""Multipart uploads and downloads: several parts in parallel, so that one connection's speed is not the limit."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, cast

import urllib3
from minio import S3Error

from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.verifying_reader import VerifyingReader

#: Bytes of one part; a smaller file is sent and requested as a whole.
PART_BYTES = 8 << 20
PARALLEL_PARTS = 4
#: The most parts that S3 allows.
_MAX_PARTS = 10_000
#: How often a part is requested whose response breaks off; each request is retried by the client, too.
_ATTEMPTS = 3


def put_multipart(bucket: Bucket, key: str, file: VerifyingReader) -> None:
    """Put a large file; the object appears when all parts are there."""
    size = max(PART_BYTES, -(-file.size // _MAX_PARTS))
    stream = cast(BinaryIO, file)
    try:
        bucket.client.put_object(
            bucket.name, key, stream, file.size, part_size=size, num_parallel_uploads=PARALLEL_PARTS
        )
    except S3Error as error:
        # If the response to CompleteMultipartUpload was lost, its retry finds no upload.
        stored = bucket.stat(key) if error.code == "NoSuchUpload" else None
        if stored is None or stored.size != file.size:
            raise


def iter_parts(bucket: Bucket, key: str) -> Generator[bytes]:
    """Yield the bytes of an object, prefetching the next parts. Yields nothing if there is no object."""
    first = get_part(bucket, key, 0)
    if first is None:
        return
    content, total = first
    yield content
    if len(content) < total:
        yield from _remaining_parts(bucket, key, range(len(content), total, PART_BYTES))


def _remaining_parts(bucket: Bucket, key: str, offsets: range) -> Generator[bytes]:
    pending: deque[Future[tuple[bytes, int] | None]] = deque()
    with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
        try:
            for offset in offsets:
                pending.append(pool.submit(get_part, bucket, key, offset))
                if len(pending) == PARALLEL_PARTS:
                    yield _content(pending.popleft())
            while pending:
                yield _content(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _content(pending: Future[tuple[bytes, int] | None]) -> bytes:
    stored = pending.result()
    return b"" if stored is None else stored[0]  # removed meanwhile: the digest will not match


def get_part(bucket: Bucket, key: str, offset: int, length: int = PART_BYTES) -> tuple[bytes, int] | None:
    """Return `length` bytes at `offset` and the object's size; None if there is no object."""
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            return _get_range(bucket, key, offset, length)
        except urllib3.exceptions.HTTPError:
            if not attempts_left:
                raise
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            if error.code == "InvalidRange" and not offset:  # an empty object has no valid range
                return b"", 0
            raise
    raise AssertionError("unreachable")


def _get_range(bucket: Bucket, key: str, offset: int, length: int) -> tuple[bytes, int]:
    response = bucket.client.get_object(bucket.name, key, offset=offset, length=length)
    try:
        content = response.read()
        total = response.headers.get("content-range", "").rpartition("/")[2]
        return content, int(total) if total.isdecimal() else len(content)
    finally:
        response.release_conn()
