"""Files that somebody has put by a presigned address: looked at, and only then made blobs."""

import hashlib
from datetime import datetime
from urllib.parse import quote

from minio import S3Error

from renderctl.errors import DigestMismatch, NotStored
from renderctl.stores.minio.bucket import Bucket
from renderctl.stores.minio.parts import pieces

_FOLDER = "incoming/"


def staging_key(name: str) -> str:
    """Where it is put."""
    return f"{_FOLDER}{quote(name, safe='')}"


def promote(bucket: Bucket, key: str, promised: tuple[str, str, int]) -> None:
    """Copy the object to the key of its blob, if its digest and size are those promised; it is gone from its place.

    What is copied is what was read: the copy is made by the tag that the object had before.
    """
    blob, digest, size = promised
    found = bucket.stat(key)
    if found is None:
        raise NotStored("Nothing was put at the address that was given for it.")
    try:
        seen = hashlib.sha256()
        if found.size == size:
            for piece in pieces(bucket, key):
                seen.update(piece)
        if found.size != size or seen.hexdigest() != digest:
            raise DigestMismatch(f"What was put is not what was promised: {found.size} bytes, {seen.hexdigest()}.")
        if not bucket.touch(blob, size):
            _copy(bucket, blob, key, found.etag or "")
    finally:
        bucket.remove([key])


def _copy(bucket: Bucket, blob: str, key: str, etag: str) -> None:
    try:
        bucket.copy(blob, key, etag)
    except S3Error as error:
        if error.code not in ("PreconditionFailed", "NoSuchKey"):
            raise
        raise DigestMismatch("What was put was changed while it was looked at.") from error


def forget_staged(bucket: Bucket, *, before: datetime) -> None:
    """Remove what somebody has put and never spoken of again."""
    old = (each for each in bucket.list(_FOLDER) if each.last_modified and each.last_modified < before)
    bucket.remove([each.object_name for each in old if each.object_name])
