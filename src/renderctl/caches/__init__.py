"""The cache port: copies of documents and tails of logs, for quick reads.

The cache may lose any entry at any time: every reader falls back to the database or the store.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class Cache(ABC):
    """JSON documents by key, and tails of logs, shared by every process of the farm.

    No method but `check` raises when the cache is out of reach: a write is lost, a read returns nothing.
    """

    @abstractmethod
    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        """Store a document for `ttl_s` seconds, unless the cached one has a higher version."""

    @abstractmethod
    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        """Return the document of that key, or None.

        `younger_than_s`: None, too, if the document was put that many seconds ago or earlier, by the cache's clock.
        """

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the documents that are cached, by key, in one round trip."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Invalidate a document: the next reader reads the source of truth."""

    @abstractmethod
    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        """Append text that begins at byte `at` of a log; the last `limit` bytes are kept, for `ttl_s` seconds.

        Bytes that are cached already are not appended again. If bytes before `at` are missing, the cached log starts
        anew at `at`.
        """

    @abstractmethod
    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        """Return the cached bytes of a log from byte `offset` on, and the offset of its end; (b"", offset) if none.

        The bytes begin later than `offset` if some were dropped or lost: at the end offset less their number.
        """

    @abstractmethod
    def check(self) -> str:
        """Return the kind and location of the cache in a few words, after a test of it. Raises Unreachable."""

    @abstractmethod
    def close(self) -> None:
        """Close connections and files."""


def encode_key(key: str) -> bytes:
    """Encode a key as bytes, surrogates included: keys hold names that users have typed."""
    return key.encode("utf-8", "surrogatepass")
