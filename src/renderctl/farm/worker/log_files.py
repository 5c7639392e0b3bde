"""The log of an attempt as a file of this machine, into which Blender prints: however much, little of it is kept.

Of a log above its limit the first half of the limit is kept and the last half, with a line between them that says how
much was left out. While Blender prints, what lies between the two is given back to the disk: see `release_middle`.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 20
#: How far into the last half a line may begin that is whole.
_LONGEST_LINE = 1 << 16
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  #: of fallocate
_BLOCK = 4096


class LogExcerpt:
    """What is kept of a log, as it is at this moment. Raises OSError."""

    def __init__(self, path: Path, limit: int) -> None:
        """`limit`: bytes, beside the line between the halves."""
        self._path = path
        total = path.stat().st_size
        self._head, self._between, self._tail = range(total), b"", range(0)
        if total > limit:
            begin = total - limit // 2
            with path.open("rb", buffering=0) as file:
                file.seek(begin)
                begin += file.read(_LONGEST_LINE).find(b"\n") + 1
            self._head, self._tail = range(limit // 2), range(begin, total)
            left_out = self._tail.start - self._head.stop
            self._between = f"\n[... {left_out:,} bytes are left out here: worker.log_mb ...]\n".encode()
        self.size = len(self._head) + len(self._between) + len(self._tail)  #: bytes

    def pieces(self) -> Iterator[bytes]:
        """`size` bytes, whatever has become of the file meanwhile. Raises OSError."""
        with self._path.open("rb", buffering=0) as file:
            for part in (self._head, self._tail):
                file.seek(part.start)
                left = len(part)
                while left:
                    piece = file.read(min(_PIECE, left)) or bytes(min(_PIECE, left))
                    yield piece
                    left -= len(piece)
                if part is self._head and self._between:
                    yield self._between


def first_half(path: Path, limit: int) -> Iterator[bytes]:
    """What is kept of a log while it grows, and read by whoever follows it before its end is known. Raises OSError."""
    left = limit // 2
    with path.open("rb", buffering=0) as file:
        while left and (piece := file.read(min(_PIECE, left))):
            yield piece
            left -= len(piece)


def release_middle(path: Path, limit: int) -> None:
    """Give back to the disk what no excerpt of the log will hold. Raises OSError.

    The file seems as long as ever, and who prints into it notices nothing. A file system without holes gets a shorter
    file in place of it, with a line that says so: Blender appends, and goes on there.
    """
    with path.open("r+b", buffering=0) as file:
        stat = os.fstat(file.fileno())
        begin, end = limit // 2, stat.st_size - limit // 2
        begin += -begin % _BLOCK
        if end - begin < _BLOCK or stat.st_blocks * 512 <= limit + 2 * _BLOCK:
            return
        try:
            _punch(file.fileno(), begin, end - end % _BLOCK - begin)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            if stat.st_size > 2 * limit:
                os.ftruncate(file.fileno(), begin)
                file.seek(0, os.SEEK_END)
                file.write(f"\n[... {stat.st_size - begin:,} bytes are left out here: worker.log_mb ...]\n".encode())


def _punch(descriptor: int, offset: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    wide = ctypes.c_int64
    if libc.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, wide(offset), wide(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
