"""Copying files in and out of containers whose engine does not share this machine's disk, as tar archives."""

import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from renderctl.executors.docker.container_spec import ContainerUser

#: Bytes of an archive that are kept in memory; a larger one is spooled to a file.
_SPOOL_BYTES = 16 << 20
_ROOT_USER = ContainerUser(0, 0)


class ArchiveTooLarge(Exception):
    """The archive has more bytes than allowed."""


def pack(path: Path, below: Path, owner: ContainerUser = _ROOT_USER) -> IO[bytes]:
    """Pack a file or a folder, with names relative to `below`. The caller closes the archive."""

    def set_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname = owner.uid, owner.gid, "", ""
        member.mode |= 0o555 if member.isdir() else 0o444
        return member

    buffer = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(path, arcname=path.relative_to(below).as_posix() or ".", filter=set_owner)
    buffer.seek(0)
    return buffer


def unpack(stream: Iterable[bytes], target: Path, max_bytes: int) -> None:
    """Unpack an archive of `target` there, only files and folders. Raises ArchiveTooLarge, OSError."""
    total = 0
    with tarfile.open(fileobj=cast(IO[bytes], _ChunkReader(stream)), mode="r|") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts[1:]  # the first part is the archived folder itself
            if ".." in parts or not (member.isreg() or member.isdir()):
                continue
            total += max(member.size, 512)
            if total > max_bytes:
                raise ArchiveTooLarge
            destination = target.joinpath(*parts)
            if member.isdir():
                destination.mkdir(exist_ok=True)
                continue
            content = archive.extractfile(member)
            assert content is not None
            with destination.open("wb") as file:
                while chunk := content.read(1 << 20):
                    file.write(chunk)


class _ChunkReader:
    """A file-like reader of a stream of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        count = len(self._rest) if size < 0 else size
        content, self._rest = self._rest[:count], self._rest[count:]
        return content


def copy_in(client: Any, container: str, path: Path, below: Path, owner: ContainerUser = _ROOT_USER) -> None:
    """Copy `path` to the same path in the container; `below` is a mounted folder that contains it."""
    with pack(path, below, owner) as archive:
        client.api.put_archive(container, str(below), archive)


def copy_out(client: Any, container: str, path: Path, max_bytes: int) -> None:
    """Copy `path` from the container to the same path here. Raises ArchiveTooLarge, OSError, and the SDK's NotFound."""
    stream, _ = client.api.get_archive(container, str(path))
    unpack(stream, path, max_bytes)
