"""Files and folders that only their owner can read."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from renderctl.core.errors import OutputNotWritable

#: Suffixes of the files that SQLite keeps beside a database.
SQLITE_SUFFIXES = ("-wal", "-shm")


def make_private_folder(folder: Path) -> None:
    """Create a folder with mode 0700 if it is missing. Raises OSError.

    An existing folder is left unchanged: it may be anyone's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def ensure_private_folder(folder: Path) -> None:
    """Create a folder of the farm with mode 0700, or restrict an existing one to it. Raises OSError.

    A folder that a group shares on purpose (set-group-ID and group-writable: `chmod 2770`) stays open to that group,
    and so do the folders created in it.
    """
    shared = not folder.exists() and _is_shared(folder.parent)
    make_private_folder(folder)
    if shared:
        folder.chmod(0o2770)
    restrict_to_owner(folder)


def restrict_to_owner(path: Path) -> None:
    """Remove the permissions of others from a file or folder, if it exists and this user owns it."""
    with suppress(OSError):
        status = path.lstat()
        allowed = 0o7770 if _is_shared(path) else 0o7700
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode) and mode & ~allowed:
            path.chmod(mode & allowed)


def is_open_to_others(folder: Path) -> bool:
    """Return whether other users can access a folder, beyond a group that shares it on purpose."""
    return bool(stat.S_IMODE(folder.stat().st_mode) & (0o007 if _is_shared(folder) else 0o077))


def _is_shared(folder: Path) -> bool:
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 atomically and durably. Raises OutputNotWritable."""
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        make_private_folder(path.parent)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # after a power cut the file is either the old or the new one
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritable(f"{path} cannot be written: {error.strerror or error}.") from error


def make_private(path: Path) -> None:
    """Restrict a file, and what SQLite keeps beside it, to its owner; creates it if it is missing.

    SQLite creates its other files with the mode of the database. Files of other users are left unchanged.
    """
    with suppress(OSError):  # the caller that opens it next gets the error
        # An existing file must not be opened: closing it would release this process's POSIX locks on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for suffix in ("", *SQLITE_SUFFIXES):
        file = path.with_name(path.name + suffix)
        with suppress(OSError):
            status = file.stat()
            if status.st_uid == os.geteuid() and status.st_mode & 0o077:
                file.chmod(0o600)
