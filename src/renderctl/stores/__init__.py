"""The store port: immutable blobs by their SHA-256, and the logs of attempts."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredBlob:
    """A blob of the store."""

    digest: str
    size: int  #: bytes
    age_s: float  #: seconds since it was last put, by the store's own clock


@dataclass(frozen=True)
class StoredLog:
    """The log of an attempt in the store."""

    attempt_id: str
    size: int  #: bytes
    age_s: float  #: seconds since it was last put, by the store's own clock


class Store(ABC):
    """Immutable files by digest. A reader sees a whole file or none."""

    parallel = 8  #: how many files to put at a time for the best throughput
    #: Seconds after which a requested removal has either acted or never will, even if its answer was lost.
    removal_limit_s = 600.0

    @abstractmethod
    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        """Store the file at `path` as blob `digest` (hex SHA-256 of its bytes). Returns False if it was stored already.

        Idempotent: a blob that is stored already is not written again, unless `replace` is set because it is damaged,
        but its age starts at zero again. Safe beside other writers of the same blob.
        Hashes the file in any case: a caller can only put a file under a digest whose bytes they have.
        The bytes are durable when it returns.
        Raises DigestMismatch if the file does not (or no longer does) match the digest, StoreUnavailable if the
        store is out of reach, full or not writable.
        """

    @abstractmethod
    def get(self, digest: str, path: Path) -> None:
        """Write blob `digest` to `path` atomically, replacing a file that is there. The parent folder must exist.

        Raises NotStored, BlobDamaged if the stored bytes are not those that were put, StoreUnavailable,
        OutputNotWritable if `path` cannot be written.
        """

    @abstractmethod
    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream the bytes of a blob from `start` up to `end` (None: its end), in chunks of bounded size.

        The bytes are not verified against the digest: that would require all of them first.
        Raises NotStored and StoreUnavailable, when the first chunk is requested.
        """

    @abstractmethod
    def url(self, digest: str, name: str, expires_s: float) -> str:
        """Return a presigned URL that downloads the blob as file `name` for `expires_s` seconds (at most 7 days).

        A local store returns a file URL, which never expires and needs access to the file. Whether the blob exists
        is not checked. Raises StoreUnavailable.
        """

    @abstractmethod
    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        """Return a presigned URL that accepts PUTs of a file of `size` bytes (at most 5 GiB) for `expires_s` seconds.

        A file of another size is refused by the store. The file becomes a blob only by `promote`, and is removed
        after a day. Returns None if the store has no presigned uploads. Raises StoreUnavailable.
        """

    @abstractmethod
    def promote(self, name: str, digest: str, size: int) -> None:
        """Verify the file that was put to the `staging_url` of `name`, and move it to blob `digest`.

        Raises NotStored if nothing was put there, DigestMismatch, StoreUnavailable.
        """

    @abstractmethod
    def missing(self, digests: set[str]) -> set[str]:
        """Return those of `digests` that are not stored. Raises StoreUnavailable."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Return the free space in bytes, or None if it is unknown, as for S3. Raises StoreUnavailable."""

    @abstractmethod
    def blobs(self) -> Iterator[StoredBlob]:
        """Iterate over all blobs, ordered by digest, batch by batch: their list may not fit into memory.

        Blobs that are put or removed meanwhile may or may not be included. Raises StoreUnavailable.
        """

    @abstractmethod
    def remove(self, digests: Iterable[str]) -> None:
        """Remove the blobs, for the garbage collection; a missing one is no error. Raises StoreUnavailable.

        `digests` is consumed while blobs are removed, so that the caller can end the removal early.
        """

    @abstractmethod
    def put_log(self, attempt_id: str, chunks: Iterable[bytes]) -> None:
        """Store the whole log of an attempt, replacing an earlier, shorter one; `chunks` are streamed.

        Raises StoreUnavailable, and whatever `chunks` raises; the earlier log then stays.
        """

    @abstractmethod
    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream the bytes of a log from `start` up to `end` (None: its end), in chunks; nothing if there is no log.

        Raises StoreUnavailable, when the first chunk is requested.
        """

    @abstractmethod
    def log_size(self, attempt_id: str) -> int | None:
        """Return the size of an attempt's log in bytes, or None if there is none. Raises StoreUnavailable."""

    @abstractmethod
    def logs(self) -> Iterator[StoredLog]:
        """Iterate over all logs, in any order, batch by batch. Raises StoreUnavailable."""

    @abstractmethod
    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        """Remove the logs; a missing one is no error. Raises StoreUnavailable."""

    @abstractmethod
    def check(self) -> str:
        """Write, read and remove a probe; return the kind and location of the store. Raises StoreUnavailable."""
