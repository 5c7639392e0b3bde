"""The file that is being stored, held to its promise while it is read."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from renderctl.core.errors import DigestMismatch

_CHUNK = 1 << 20


@contextmanager
def promised(path: Path, digest: str) -> Iterator["VerifyingReader"]:
    """The file at `path`, from its beginning. Raises DigestMismatch if it can not be read."""
    with _readable(path):
        file = path.open("rb", buffering=0)
    with file:
        yield VerifyingReader(file, path, digest)


class VerifyingReader:
    """Reads a file, and raises DigestMismatch in place of its last bytes if it is not what the digest says."""

    def __init__(self, file: BinaryIO, path: Path, digest: str) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._path = path
        self._digest = digest
        self._found = hashlib.sha256()
        self._left = self.size

    def read(self, size: int) -> bytes:
        with _readable(self._path):
            content = self._file.read(min(size, self._left))
        self._found.update(content)
        self._left -= len(content)
        if not content or not self._left:
            self._verify()
        return content

    def all(self) -> bytes:
        """The whole file, for one that fits into memory."""
        pieces = [self.read(self.size)]
        while self._left:
            pieces.append(self.read(self._left))
        return b"".join(pieces)

    def verify(self) -> None:
        """Read it to its end, for one that need not be sent."""
        while self._left:
            self.read(_CHUNK)

    def _verify(self) -> None:
        found = self._found.hexdigest()
        if self._left or found != self._digest:
            raise DigestMismatch(f"{self._path} is not what it was: its SHA-256 is {found}, not {self._digest}.")


def up_to(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The first pieces, until they come to `size` bytes or more; the others are left."""
    total = 0
    while total < size and (piece := next(pieces, None)) is not None:
        total += len(piece)
        yield piece


class IterableReader:
    """Bytes that come in pieces, for whoever reads a file of them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """So many bytes at most; none at the end."""
        if not self._rest:
            self._rest = next((piece for piece in self._pieces if piece), b"")
        count = len(self._rest) if size < 0 else size
        content, self._rest = self._rest[:count], self._rest[count:]
        return content


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DigestMismatch(f"{path} can not be read: {error.strerror or error}.") from error
