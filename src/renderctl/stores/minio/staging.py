"""Staged uploads: files that were put by a presigned URL, verified before they become blobs."""

import hashlib
import os
from datetime import datetime
from urllib.parse import quote

from renderctl.core.errors import DigestMismatch, NotStored
from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.multipart import iter_parts

_PREFIX = "incoming/"


def staging_key(name: str) -> str:
    """Return the key of the staged object `name`."""
    return f"{_PREFIX}{quote(name, safe='')}"


def promote(bucket: Bucket, key: str, expected: tuple[str, str, int]) -> None:
    """Move the staged object to its blob's key if it has the `expected` digest and size (blob key, digest, bytes).

    The object is first copied to a key that no one else can write to, and that copy is verified: not every S3 honors
    the If-Match condition of a copy (Ceph's does not). Raises NotStored, DigestMismatch.
    """
    blob_key, digest, size = expected
    copy_key = f"{_PREFIX}{os.urandom(16).hex()}"
    try:
        stored = bucket.stat(key)
        if stored is None or (stored.size == size and not bucket.copy(copy_key, key)):
            raise NotStored("Nothing was uploaded to the URL that was issued for it.")
        if stored.size != size or _digest(bucket, copy_key) != digest:
            raise DigestMismatch("The uploaded file does not match its digest and size.")
        if not bucket.touch(blob_key, size):
            bucket.copy(blob_key, copy_key)
    finally:
        bucket.remove([key, copy_key])


def _digest(bucket: Bucket, key: str) -> str:
    digest = hashlib.sha256()
    for chunk in iter_parts(bucket, key):
        digest.update(chunk)
    return digest.hexdigest()


def remove_abandoned(bucket: Bucket, *, before: datetime) -> None:
    """Remove objects that were staged before `before` and never promoted."""
    abandoned = (stored for stored in bucket.list(_PREFIX) if stored.last_modified and stored.last_modified < before)
    bucket.remove([stored.object_name for stored in abandoned if stored.object_name])
