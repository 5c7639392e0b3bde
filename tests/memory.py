"""Folders in memory for what tests write: databases, whose every commit would have to wait for a disk."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

_SHARED_MEMORY = Path("/dev/shm")


def memory_folder(free_bytes: int) -> Path | None:
    """A folder whose files lie in memory and can do what files on a disk can, with that much room; None: there is none.

    Half of the memory that is available stays so. Who sets TMPDIR has decided where files lie, and gets none.
    """
    if "TMPDIR" in os.environ or psutil.virtual_memory().available < 2 * free_bytes:
        return None
    with suppress(OSError):
        disk = os.statvfs(_SHARED_MEMORY)
        roomy = disk.f_bavail * disk.f_frsize >= free_bytes
        usable = not disk.f_flag & (os.ST_NOEXEC | os.ST_RDONLY) and os.access(_SHARED_MEMORY, os.W_OK)
        if roomy and usable and _bypasses_cache(_SHARED_MEMORY):
            return _SHARED_MEMORY
    return None


def _bypasses_cache(folder: Path) -> bool:
    """Whether files can be opened as databases open theirs: older kernels refuse O_DIRECT in memory."""
    with tempfile.NamedTemporaryFile(dir=folder) as file, suppress(OSError):
        os.close(os.open(file.name, os.O_RDWR | os.O_DIRECT))
        return True
    return False
