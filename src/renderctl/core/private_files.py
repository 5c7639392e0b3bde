"""Files and folders that nobody but their owner may read."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from renderctl.core.errors import OutputNotWritable

#: What SQLite keeps beside a file.
BESIDE_SQLITE = ("-wal", "-shm")


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, if it is absent. Raises OSError.

    One that is there is left as it is: it may be anything.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def ensure_private_folder(folder: Path) -> None:
    """Have a folder of our own that only its owner may enter, also where it was open to others. Raises OSError.

    A folder that a group shares on purpose (set-group-ID, and the group may write: `chmod 2770`) stays open to that
    group, and so does what is made in it.
    """
    shared = not folder.exists() and _is_shared(folder.parent)
    make_private_folder(folder)
    if shared:
        folder.chmod(0o2770)
    tighten(folder)


def tighten(path: Path) -> None:
    """Close a file or a folder of our own to others, if it is there; what somebody else owns is theirs to close."""
    with suppress(OSError):
        status = path.lstat()
        kept = 0o7770 if _is_shared(path) else 0o7700
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode) and mode & ~kept:
            path.chmod(mode & kept)


def is_open_to_others(folder: Path) -> bool:
    """Whether others on this machine can look into a folder, other than a group that is meant to."""
    return bool(stat.S_IMODE(folder.stat().st_mode) & (0o007 if _is_shared(folder) else 0o077))


def _is_shared(folder: Path) -> bool:
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all. Raises OutputNotWritable."""
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        make_private_folder(path.parent)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a power cut leaves what was there, or this
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritable(f"{path} can not be written: {error.strerror or error}.") from error


def make_private(path: Path) -> None:
    """Have nobody but its owner read the file, which is made if it is absent, nor what SQLite keeps beside it.

    SQLite gives to what it makes the mode of the file. What somebody else owns is left as they want it.
    """
    with suppress(OSError):  # whoever opens it next is told why it can not be
        # One that is there must not be opened: closing it would take this process's own locks away.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for suffix in ("", *BESIDE_SQLITE):
        each = path.with_name(path.name + suffix)
        with suppress(OSError):
            found = each.stat()
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                each.chmod(0o600)
