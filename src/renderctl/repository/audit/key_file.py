"""The audit key of an embedded farm: in a file, with those that it has replaced beside it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from renderctl.core.errors import DatabaseUnavailable


class KeyFile:
    """A file that only its owner may read. It is read each time: another process may have replaced the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def key(self) -> bytes:
        """Return the key, which is made when first asked for. Raises DatabaseUnavailable."""
        with self._used():
            if not self._path.exists():
                fresh = self._fresh()
                with suppress(FileExistsError):  # another process was quicker
                    os.link(fresh, self._path)
                fresh.unlink()
            return _read(self._path)

    def former(self) -> list[bytes]:
        """Return the replaced keys, the latest first. Raises DatabaseUnavailable."""
        with self._used():
            return [_read(path) for _, path in sorted(self._kept(), reverse=True)]

    def replace(self) -> None:
        """Make a new key; the former one is kept as `audit.key.NUMBER`. Raises DatabaseUnavailable.

        Call it only within a transaction that writes: so the new key signs all that is written after it, by any
        process.
        """
        self.key()
        with self._used():
            fresh = self._fresh()
            os.link(self._path, self._path.with_name(f"{self._path.name}.{self._next()}"))
            fresh.replace(self._path)

    def _kept(self) -> Iterator[tuple[int, Path]]:
        for path in self._path.parent.glob(f"{self._path.name}.*"):
            if path.suffix[1:].isdecimal():
                yield int(path.suffix[1:]), path

    def _next(self) -> int:
        return 1 + max((number for number, _ in self._kept()), default=0)

    def _fresh(self) -> Path:
        fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())  # what it signs outlasts a power cut, and so must it
        return fresh

    @contextmanager
    def _used(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "It belongs beside the database: what is written without it can not be verified."
            raise DatabaseUnavailable(
                f"The audit log's key {self._path} can not be used: {error.strerror}.", hint=hint
            ) from error


def _read(path: Path) -> bytes:
    return path.read_text(encoding="utf-8").strip().encode()
