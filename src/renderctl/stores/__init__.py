"""The store: immutable files by their SHA-256, and the logs of attempts."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredBlob:
    """A blob that is in the store."""

    digest: str
    size: int  #: bytes
    age_s: float  #: seconds since it was last put, by the store's own clock


@dataclass(frozen=True)
class StoredLog:
    """The log of an attempt that is in the store."""

    attempt_id: str
    size: int  #: bytes
    age_s: float  #: seconds since it was last put, by the store's own clock


class Store(ABC):
    """Immutable files by digest. A reader sees a whole file or none."""

    parallel = 8  #: files that are best put at a time
    #: Seconds within which a removal has acted that was asked for, or never will: also one whose answer was lost.
    removal_limit_s = 600.0

    @abstractmethod
    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        """Keep the file at `path` as blob `digest` (hex SHA-256 of its bytes). False: it was there, and nothing sent.

        Idempotent: a blob that is there already is not written again, unless it is to be replaced since it is damaged,
        but its age begins anew. Safe beside other writers of the same blob.
        Hashes the file in any case: who has a file put under the digest of a blob proves that they have its bytes.
        The bytes are on disk when it returns.
        Raises DigestMismatch if the file is not (or is no longer) what the digest says, StoreUnavailable if the
        store is out of reach, full or not writable.
        """

    @abstractmethod
    def get(self, digest: str, path: Path) -> None:
        """Write blob `digest` to `path`, whole or not at all; what stood there is replaced. Its parent exists.

        Raises NotStored, BlobDamaged if the stored bytes are not those that were put, StoreUnavailable,
        OutputNotWritable if it is `path` that can not be written.
        """

    @abstractmethod
    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a blob from `start` up to `end` (None: to its end), piece by piece, in little memory.

        They are not verified: for that a reader would have to see all of them first.
        Raises NotStored and StoreUnavailable, when the first piece is asked for.
        """

    @abstractmethod
    def url(self, digest: str, name: str, expires_s: float) -> str:
        """Where whoever has this address may fetch the blob as file `name`, for `expires_s` seconds (7 days at most).

        A local store's is that of a file: for who may read it, and without an end. Whether the blob is there is not
        looked at. Raises StoreUnavailable.
        """

    @abstractmethod
    def staging_url(self, name: str, size: int, expires_s: float) -> str | None:
        """Where whoever has this address may PUT a file of `size` bytes, once or often, for `expires_s` seconds.

        Of 5 GiB at most; a file of another size is refused there.

        None: there is no such place. What is put there is no blob before `promote` has made it one, and is removed
        after a day. Raises StoreUnavailable.
        """

    @abstractmethod
    def promote(self, name: str, digest: str, size: int) -> None:
        """Make what was put at its `staging_url` the blob `digest`, if that is what it is; it is gone from there.

        Raises NotStored if nothing was put there, DigestMismatch, StoreUnavailable.
        """

    @abstractmethod
    def missing(self, digests: set[str]) -> set[str]:
        """Those of `digests` that the store does not have. Raises StoreUnavailable."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Bytes that it has room for; None: that can not be said, as of an S3. Raises StoreUnavailable."""

    @abstractmethod
    def blobs(self) -> Iterator[StoredBlob]:
        """Every blob, in the order of the digests, one batch at a time: the store may hold more than memory does.

        What is put or removed meanwhile may be among them or not. Raises StoreUnavailable.
        """

    @abstractmethod
    def remove(self, digests: Iterable[str]) -> None:
        """Remove the blobs; one that is not there is no error. For the garbage collection. Raises StoreUnavailable.

        `digests` is read as the removal goes on: it may end early.
        """

    @abstractmethod
    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        """Keep the log of an attempt, whole, in place of an earlier, shorter one; its pieces pass one by one.

        Raises StoreUnavailable, and whatever the pieces raise: then the earlier one stays.
        """

    @abstractmethod
    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a log from `start` up to `end` (None: to its end), piece by piece; none where there is no log.

        Raises StoreUnavailable, when the first piece is asked for.
        """

    @abstractmethod
    def log_size(self, attempt_id: str) -> int | None:
        """Bytes of the log of an attempt; None: there is none. Raises StoreUnavailable."""

    @abstractmethod
    def logs(self) -> Iterator[StoredLog]:
        """Every log, in any order, one batch at a time. Raises StoreUnavailable."""

    @abstractmethod
    def remove_logs(self, attempt_ids: Iterable[str]) -> None:
        """Remove the logs; one that is not there is no error. Raises StoreUnavailable."""

    @abstractmethod
    def check(self) -> str:
        """Write, read and remove a probe; what and where the store is, in a few words. Raises StoreUnavailable."""
