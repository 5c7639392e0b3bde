"""Reading a file while it is uploaded, verified against its digest."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from renderctl.core.errors import DigestMismatch

_CHUNK_BYTES = 1 << 20


@contextmanager
def verifying_reader(path: Path, digest: str) -> Iterator["VerifyingReader"]:
    """Open the file at `path`. Raises DigestMismatch if it cannot be read."""
    with _translate_errors(path):
        file = path.open("rb", buffering=0)
    with file:
        yield VerifyingReader(file, path, digest)


class VerifyingReader:
    """Reads a file; raises DigestMismatch instead of returning its last bytes if the digest does not match."""

    def __init__(self, file: BinaryIO, path: Path, digest: str) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._path = path
        self._digest = digest
        self._sha256 = hashlib.sha256()
        self._remaining = self.size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes. Raises DigestMismatch."""
        with _translate_errors(self._path):
            content = self._file.read(min(size, self._remaining))
        self._sha256.update(content)
        self._remaining -= len(content)
        if not content or not self._remaining:
            self._verify()
        return content

    def read_all(self) -> bytes:
        """Return the whole file, which must fit into memory."""
        chunks = [self.read(self.size)]
        while self._remaining:
            chunks.append(self.read(self._remaining))
        return b"".join(chunks)

    def verify(self) -> None:
        """Read the file to its end without keeping it, for a blob that is stored already."""
        while self._remaining:
            self.read(_CHUNK_BYTES)

    def _verify(self) -> None:
        actual_digest = self._sha256.hexdigest()
        if self._remaining or actual_digest != self._digest:
            raise DigestMismatch(f"{self._path} has changed: its SHA-256 is {actual_digest}, not {self._digest}.")


def take_bytes(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the first chunks until they add up to `size` bytes or more; the others stay in the iterator."""
    total = 0
    while total < size and (chunk := next(chunks, None)) is not None:
        total += len(chunk)
        yield chunk


class IterableReader:
    """A file-like reader of an iterable of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; empty at the end."""
        if not self._rest:
            self._rest = next((chunk for chunk in self._chunks if chunk), b"")
        count = len(self._rest) if size < 0 else size
        content, self._rest = self._rest[:count], self._rest[count:]
        return content


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DigestMismatch(f"{path} cannot be read: {error.strerror or error}.") from error
