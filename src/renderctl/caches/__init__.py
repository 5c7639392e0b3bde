"""The cache: copies for quick answers. It may forget anything at any time; every reader does without."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class Cache(ABC):
    """JSON documents by key, and tails of logs, readable by every process of the farm.

    No method raises when the cache is away: a write is lost, a read finds nothing.
    """

    @abstractmethod
    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        """Keep a document for `ttl_s` seconds, unless one of a higher version is there."""

    @abstractmethod
    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        """The document of that key, or None; None as well for one that was put longer ago, by the cache's own clock."""

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the documents that are there, in one question."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Drop a document, so that the next reader asks the truth."""

    @abstractmethod
    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        """Add the text that begins at byte `at` of a log, of which the last `limit` bytes are kept.

        What is there already is not added again. Where a piece before it was lost, the log that is kept begins with it.
        """

    @abstractmethod
    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        """What is kept of a log from byte `offset` on, and where it ends: (b"", offset) if there is nothing.

        It begins later than asked for where something was dropped or lost: at its end less its length.
        """

    @abstractmethod
    def check(self) -> str:
        """What and where the cache is, in a few words. Raises Unreachable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files."""


def encoded(key: str) -> bytes:
    """A key as bytes, whatever a user has typed for it."""
    return key.encode("utf-8", "surrogatepass")
