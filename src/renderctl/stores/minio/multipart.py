"""Large files, in parts: several on their way at a time, so that the speed of one connection is not the limit."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, cast

import urllib3
from minio import S3Error

from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.verifying_reader import VerifyingReader

#: Bytes that are sent or asked for in one piece; larger files go in parts of this size.
PART = 8 << 20
PARTS_AT_A_TIME = 4
#: S3 allows this many parts.
_MOST_PARTS = 10_000
#: Times that a part is asked for whose answer breaks off; each time the request itself is tried again, too.
_TRIES = 3


def send(bucket: Bucket, key: str, file: VerifyingReader) -> None:
    """Send a large file; nothing of it is seen before all of it is there."""
    size = max(PART, -(-file.size // _MOST_PARTS))
    stream = cast(BinaryIO, file)
    try:
        bucket.client.put_object(
            bucket.name, key, stream, file.size, part_size=size, num_parallel_uploads=PARTS_AT_A_TIME
        )
    except S3Error as error:
        # When the answer to a completion gets lost, the second try finds nothing left to complete.
        found = bucket.stat(key) if error.code == "NoSuchUpload" else None
        if found is None or found.size != file.size:
            raise


def iter_parts(bucket: Bucket, key: str) -> Generator[bytes]:
    """The bytes of an object, the next parts on their way while one is used. Not one piece: it is not there."""
    first = part(bucket, key, 0)
    if first is None:
        return
    content, total = first
    yield content
    if len(content) < total:
        yield from _others(bucket, key, range(len(content), total, PART))


def _others(bucket: Bucket, key: str, offsets: range) -> Generator[bytes]:
    coming: deque[Future[tuple[bytes, int] | None]] = deque()
    with ThreadPoolExecutor(PARTS_AT_A_TIME) as pool:
        try:
            for offset in offsets:
                coming.append(pool.submit(part, bucket, key, offset))
                if len(coming) == PARTS_AT_A_TIME:
                    yield _content(coming.popleft())
            while coming:
                yield _content(coming.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _content(coming: Future[tuple[bytes, int] | None]) -> bytes:
    found = coming.result()
    return b"" if found is None else found[0]  # removed meanwhile: what was read will not be what was promised


def part(bucket: Bucket, key: str, offset: int, length: int = PART) -> tuple[bytes, int] | None:
    """The part at `offset` and the size of the whole; None: there is no such object."""
    for left in reversed(range(_TRIES)):
        try:
            return _ask(bucket, key, offset, length)
        except urllib3.exceptions.HTTPError:
            if not left:
                raise
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            if error.code == "InvalidRange" and not offset:  # of an empty object not even the start can be had
                return b"", 0
            raise
    raise AssertionError("unreachable")


def _ask(bucket: Bucket, key: str, offset: int, length: int) -> tuple[bytes, int]:
    response = bucket.client.get_object(bucket.name, key, offset=offset, length=length)
    try:
        content = response.read()
        total = response.headers.get("content-range", "").rpartition("/")[2]
        return content, int(total) if total.isdecimal() else len(content)
    finally:
        response.release_conn()
