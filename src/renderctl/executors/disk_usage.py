"""Measuring folders that an untrusted process is writing to."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

#: Bytes that every entry counts at least.
_MIN_ENTRY_BYTES = 4096
#: Nesting depth; a deeper tree is an attack on what walks it, and counts as too large.
_MAX_DEPTH = 64


def directory_bytes(folder: Path, most: int) -> int:
    """Return the bytes below `folder`; stops beyond `most`, also for too deep nesting. Links are not followed."""
    total = 0
    pending = [(str(folder), 0)]
    while pending and total <= most:
        path, depth = pending.pop()
        if depth > _MAX_DEPTH:
            return most + 1
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    total += _size(entry)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, depth + 1))
                    if total > most:
                        break
        except PermissionError:
            return most + 1  # a folder that was closed to us counts as too large
        except OSError:
            continue  # removed meanwhile
    return total


def empty_if_larger(folder: Path, most: int) -> None:
    """Empty a cache folder if it has more than `most` bytes; follows no links."""
    if directory_bytes(folder, most) <= most:
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()


def free_mb(folder: Path) -> int:
    """Return the free megabytes of its disk: the only place where unlinked open files show."""
    return shutil.disk_usage(folder).free >> 20


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return _MIN_ENTRY_BYTES
    return max(_MIN_ENTRY_BYTES, stat.st_size, stat.st_blocks * 512)
