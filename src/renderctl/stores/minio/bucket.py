"""One bucket, by what the store does with it. What goes wrong is raised as the client raises it."""

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

#: An object that was put less than this ago is not touched again.
_YOUNG = timedelta(hours=1)


class Readable(Protocol):
    """What is read as a file is."""

    def read(self, size: int = -1) -> bytes: ...


class Bucket:
    """A bucket of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def look(self) -> None:
        """Ask for a short list: unlike others, the answer says why it is refused."""
        next(self.list("probes/"), None)

    def make(self, region: str | None) -> None:
        try:
            self.client.make_bucket(self.name, region)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # else another process was quicker
                raise

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(self.name, key, io.BytesIO(content), len(content))

    def put_stream(self, key: str, content: "Readable", part_size: int) -> None:
        """Put what may be of any length; one part of it is in memory at a time."""
        self.client.put_object(self.name, key, cast(BinaryIO, content), -1, part_size=part_size)

    def url(self, key: str, name: str, expires: timedelta) -> str:
        """A presigned address of the object, which is saved as file `name`."""
        saved_as: dict[str, str | list[str] | tuple[str]] = {
            "response-content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"
        }
        return self.client.get_presigned_url("GET", self.name, key, expires, saved_as, self.client.time())

    def put_url(self, key: str, size: int, expires: timedelta) -> str:
        """A presigned address at which the object may be put, if it has this size. The client has no public names."""
        region, provider = self.client._get_region(self.name), self.client._provider
        held = provider.retrieve() if provider else None
        url = self.client._base_url.build(method="PUT", region=region, bucket_name=self.name, object_name=key)
        if held is None:
            return urlunsplit(url)
        signer = Signer(held.access_key, held.secret_key, region, held.session_token)
        return presigned_put(url, signer, size=size, at=self.client.time(), expires_s=int(expires.total_seconds()))

    def copy(self, key: str, source: str) -> bool:
        """Have the server copy an object; False: there is none."""
        try:
            self.client.copy_object(self.name, key, CopySource(self.name, source))
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return False
        return True

    def stat(self, key: str) -> Object | None:
        try:
            return self.client.stat_object(self.name, key)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return None

    def has(self, key: str, size: int) -> bool:
        """Whether an object of this size is there."""
        found = self.stat(key)
        return found is not None and found.size == size

    def touch(self, key: str, size: int) -> bool:
        """Whether an object of this size is there; its age begins anew, by a copy that the server makes onto itself."""
        found = self.stat(key)
        if found is None or found.size != size:
            return False
        if not _is_young(found):
            self.client.copy_object(self.name, key, CopySource(self.name, key), metadata_directive=REPLACE)
        return True

    def list(self, prefix: str) -> Iterator[Object]:
        return iter(self.client.list_objects(self.name, prefix=prefix, recursive=True))

    def remove(self, keys: Iterable[str]) -> None:
        """Remove the objects, a thousand a request; those that are refused once more and one by one: that says why."""
        refused = list(self.client.remove_objects(self.name, (DeleteObject(key) for key in keys)))
        for error in refused:
            if error.code != "NoSuchKey" and error.name:
                self.client.remove_object(self.name, error.name)

    def abort_uploads(self, *, before: datetime) -> None:
        """Forget the parts of files that somebody began to send so long ago, and never finished.

        The client has no public name for that.
        """
        for prefix in ("blobs/", "logs/"):
            for upload in self.client._list_multipart_uploads(self.name, prefix=prefix).uploads:
                if upload.upload_id and upload.initiated_time and upload.initiated_time < before:
                    self.client._abort_multipart_upload(self.name, upload.object_name, upload.upload_id)


def _is_young(found: Object) -> bool:
    """By the store's own clock."""
    said = (found.metadata or {}).get("date")
    if said is None or found.last_modified is None:
        return False
    return parsedate_to_datetime(said) - found.last_modified < _YOUNG
