"""The operations of the store on one bucket. Errors are those of the client."""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import BinaryIO, Protocol, cast
from urllib.parse import quote, urlunsplit

from minio import S3Error
from minio.commonconfig import REPLACE, CopySource
from minio.datatypes import Object
from minio.deleteobjects import DeleteObject

from renderctl.stores.minio.client import Client
from renderctl.stores.minio.presigned_urls import Signer, presigned_put

#: An object that was put less than this ago need not be touched.
_TOUCH_AGE = timedelta(hours=1)


class Readable(Protocol):
    """A source of bytes that is read like a file."""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; empty at the end."""


class Bucket:
    """A bucket, by the client that reaches it."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def require(self) -> None:
        """Raise S3Error unless the bucket exists and can be listed; a list response says why it is refused."""
        next(self.list("probes/"), None)

    def create(self, region: str | None) -> None:
        """Create the bucket; no error if it exists and is ours."""
        try:
            self.client.make_bucket(self.name, region)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # otherwise another process has created it
                raise

    def put(self, key: str, content: bytes) -> None:
        """Put an object in one request."""
        self.client.put_object(self.name, key, io.BytesIO(content), len(content))

    def put_stream(self, key: str, content: "Readable", part_size: int) -> None:
        """Put an object of unknown length in parts of `part_size` bytes; one part is in memory at a time."""
        self.client.put_object(self.name, key, cast(BinaryIO, content), -1, part_size=part_size)

    def url(self, key: str, name: str, expires: timedelta) -> str:
        """Return a presigned GET URL that downloads the object as file `name`."""
        response_headers: dict[str, str | list[str] | tuple[str]] = {
            "response-content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"
        }
        return self.client.get_presigned_url(
            "GET", self.name, key, expires, response_headers, self.client.server_time()
        )

    def put_url(self, key: str, size: int, expires: timedelta) -> str:
        """Return a presigned PUT URL for an object of `size` bytes. The client has no public method for that."""
        region, provider = self.client._get_region(self.name), self.client._provider
        credentials = provider.retrieve() if provider else None
        url = self.client._base_url.build(method="PUT", region=region, bucket_name=self.name, object_name=key)
        if credentials is None:
            return urlunsplit(url)
        signer = Signer(credentials.access_key, credentials.secret_key, region, credentials.session_token)
        return presigned_put(
            url, signer, size=size, at=self.client.server_time(), expires_s=int(expires.total_seconds())
        )

    def copy(self, key: str, source: str) -> bool:
        """Copy an object on the server; returns False if there is none."""
        try:
            self.client.copy_object(self.name, key, CopySource(self.name, source))
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return False
        return True

    def stat(self, key: str) -> Object | None:
        """Return the metadata of an object, or None."""
        try:
            return self.client.stat_object(self.name, key)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return None

    def has(self, key: str, size: int) -> bool:
        """Return whether an object of `size` bytes exists."""
        stored = self.stat(key)
        return stored is not None and stored.size == size

    def touch(self, key: str, size: int) -> bool:
        """Reset the object's age by a copy onto itself; returns False if none of `size` bytes exists."""
        stored = self.stat(key)
        if stored is None or stored.size != size:
            return False
        if not _is_recent(stored):
            self.client.copy_object(self.name, key, CopySource(self.name, key), metadata_directive=REPLACE)
        return True

    def list(self, prefix: str) -> Iterator[Object]:
        """Iterate over the objects below `prefix`, ordered by key."""
        return iter(self.client.list_objects(self.name, prefix=prefix, recursive=True))

    def remove(self, keys: Iterable[str]) -> None:
        """Delete the objects, a thousand per request; one that fails is deleted again alone, for its error."""
        refused = list(self.client.remove_objects(self.name, (DeleteObject(key) for key in keys)))
        for error in refused:
            if error.code != "NoSuchKey" and error.name:
                self.client.remove_object(self.name, error.name)

    def abort_uploads(self, *, before: datetime) -> None:
        """Abort multipart uploads that began before `before` and were never completed.

        The client has no public method for that.
        """
        for prefix in ("blobs/", "logs/"):
            for upload in self.client._list_multipart_uploads(self.name, prefix=prefix).uploads:
                if upload.upload_id and upload.initiated_time and upload.initiated_time < before:
                    self.client._abort_multipart_upload(self.name, upload.object_name, upload.upload_id)


def _is_recent(stored: Object) -> bool:
    """Return whether the object was put within the last hour, by the store's own clock."""
    date = (stored.metadata or {}).get("date")
    if date is None or stored.last_modified is None:
        return False
    return parsedate_to_datetime(date) - stored.last_modified < _TOUCH_AGE
