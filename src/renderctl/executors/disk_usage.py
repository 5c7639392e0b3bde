"""How much there is in a folder that somebody else may be filling, and mean to confuse us with."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

#: What every entry counts at least; bytes.
_ENTRY = 4096
#: Folders in folders; whoever nests deeper means to break what walks there.
_DEEPEST = 64


def directory_bytes(folder: Path, most: int) -> int:
    """Bytes below `folder`, as far as `most`: more than that when it is more, or nests too deep. Links count alone."""
    total = 0
    waiting = [(str(folder), 0)]
    while waiting and total <= most:
        path, depth = waiting.pop()
        if depth > _DEEPEST:
            return most + 1
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    total += _size(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                    if total > most:
                        break
        except PermissionError:
            return most + 1  # whoever shuts us out has something to hide
        except OSError:
            continue  # it is gone by now
    return total


def empty_if_larger(folder: Path, most: int) -> None:
    """Remove what is in a folder of copies when it comes to more bytes; follow no link."""
    if directory_bytes(folder, most) <= most:
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()


def spare_mb(folder: Path) -> int:
    """Megabytes that are free on its disk: what was written to a file without a name shows nowhere else."""
    return shutil.disk_usage(folder).free >> 20


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return _ENTRY
    return max(_ENTRY, stat.st_size, stat.st_blocks * 512)
