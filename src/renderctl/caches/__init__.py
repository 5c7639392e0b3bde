"""The cache: copies for quick answers. It may forget anything at any time; every reader does without."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Cache(ABC):
    """JSON documents by key, and tails of logs, readable by every process of the farm.

    No method raises when the cache is away: a write is lost, a read finds nothing.
    """

    @abstractmethod
    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        """Keep a document for `ttl_s` seconds, unless one of a higher version is there."""

    @abstractmethod
    def get(self, key: str) -> dict[str, Any] | None:
        """The document of that key, or None."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Drop a document, so that the next reader asks the truth."""

    @abstractmethod
    def append(self, key: str, text: bytes, *, limit: int = 1 << 20, ttl_s: float = 3600.0) -> None:
        """Add to the end of a log of which the last `limit` bytes are kept."""

    @abstractmethod
    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        """What was appended from byte `offset` on (or from the oldest byte kept), and the offset after it.

        A log that is gone is (b"", 0). An `offset` beyond the end is one of an earlier log, and this one all new.
        """

    @abstractmethod
    def check(self) -> str:
        """What and where the cache is, in a few words. Raises Unreachable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files."""
