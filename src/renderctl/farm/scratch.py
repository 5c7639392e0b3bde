"""Scratch directories: one per process that renders, locked while it lives, cleared away by whoever finds it dead."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from renderctl.core.ids import new_id
from renderctl.core.private_files import ensure_private_folder
from renderctl.farm import Farm


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
        ensure_private_folder(path.parent)
        lock = path.with_name(path.name + ".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        if not _is_current(lock):  # its last owner removed it between our two steps
            lock.close()
            return cls.claim(path)
        ensure_private_folder(path)
        return cls(path, lock)

    @classmethod
    def claim_new(cls, root: Path, purpose: str) -> "Scratch":
        """Make a directory below `root`. Who looks for the dead may hold its lock for a moment: then it is another."""
        while (scratch := cls.claim(root / f"{purpose}-{new_id()}")) is None:
            pass
        return scratch

    def remove(self) -> None:
        clear_away(self.path)
        with suppress(OSError):
            Path(self._lock.name).unlink()
        self._lock.close()

    def clear(self) -> None:
        """Empty it and keep it."""
        for child in self.path.iterdir():
            clear_away(child)


def clear_away(path: Path) -> None:
    """Remove a folder with all that is in it, or a file, as far as it lets itself be removed; follow no link."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return
    except RecursionError:  # folders in folders, a thousand deep: scripts of scenes do that
        subprocess.run(["rm", "-rf", "--", str(path)], check=False, capture_output=True)


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
