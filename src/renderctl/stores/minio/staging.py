"""Files that somebody has put by a presigned address: looked at, and only then made blobs."""

import hashlib
import os
from datetime import datetime
from urllib.parse import quote

from renderctl.core.errors import DigestMismatch, NotStored
from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.multipart import iter_parts

_FOLDER = "incoming/"


def staging_key(name: str) -> str:
    """Where it is put."""
    return f"{_FOLDER}{quote(name, safe='')}"


def promote(bucket: Bucket, key: str, promised: tuple[str, str, int]) -> None:
    """Copy the object to the key of its blob, if its digest and size are those promised; it is gone from its place.

    What is copied is what was read: it is put aside before, where nobody else can write. Not every S3 heeds a copy's
    condition that the object still be the one of some tag (Ceph's does not).
    """
    blob, digest, size = promised
    aside = f"{_FOLDER}{os.urandom(16).hex()}"
    try:
        found = bucket.stat(key)
        if found is None or (found.size == size and not bucket.copy(aside, key)):
            raise NotStored("Nothing was put at the address that was given for it.")
        if found.size != size or _digest(bucket, aside) != digest:
            raise DigestMismatch("What was put is not what was promised.")
        if not bucket.touch(blob, size):
            bucket.copy(blob, aside)
    finally:
        bucket.remove([key, aside])


def _digest(bucket: Bucket, key: str) -> str:
    seen = hashlib.sha256()
    for piece in iter_parts(bucket, key):
        seen.update(piece)
    return seen.hexdigest()


def forget_staged(bucket: Bucket, *, before: datetime) -> None:
    """Remove what somebody has put and never spoken of again."""
    old = (each for each in bucket.list(_FOLDER) if each.last_modified and each.last_modified < before)
    bucket.remove([each.object_name for each in old if each.object_name])
