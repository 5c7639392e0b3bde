"""Scratch directories: one per process that renders, locked while it lives, cleared away by whoever finds it dead."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from renderctl.farm import Farm
from renderctl.ids import new_id


@contextmanager
def scratch_of(farm: Farm, purpose: str) -> Iterator[Path]:
    """A directory of our own, gone when we are."""
    scratch = Scratch.claim_new(scratch_root(farm), purpose)
    try:
        yield scratch.path
    finally:
        scratch.remove()


def scratch_root(farm: Farm) -> Path:
    return farm.settings.data_dir / "scratch"


class Scratch:
    """A directory and the lock that says that its owner lives."""

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> "Scratch | None":
        """Take the directory; None: a living process has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        if not _is_current(lock):  # its last owner removed it between our two steps
            lock.close()
            return cls.claim(path)
        path.mkdir(exist_ok=True)
        return cls(path, lock)

    @classmethod
    def claim_new(cls, root: Path, purpose: str) -> "Scratch":
        """Make a directory below `root`. Who looks for the dead may hold its lock for a moment: then it is another."""
        while (scratch := cls.claim(root / f"{purpose}-{new_id()}")) is None:
            pass
        return scratch

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            Path(self._lock.name).unlink()
        self._lock.close()

    def clear(self) -> None:
        """Empty it and keep it."""
        for child in self.path.iterdir():
            shutil.rmtree(child, ignore_errors=True) if child.is_dir() else child.unlink(missing_ok=True)


def _is_current(lock: IO[bytes]) -> bool:
    try:
        return Path(lock.name).stat().st_ino == os.fstat(lock.fileno()).st_ino
    except FileNotFoundError:
        return False


def abandoned(root: Path) -> Iterator[Scratch]:
    """The directories below `root` whose processes died, each ours while the caller looks at it."""
    for lock in sorted(root.glob("*.lock")):
        scratch = Scratch.claim(lock.with_suffix(""))
        if scratch is not None:
            yield scratch
