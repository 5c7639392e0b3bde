"""Files for a container whose engine does not see our disk: carried in and out as archives."""

import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from renderctl.executors.docker.container_spec import ContainerUser

#: Of an archive, kept in memory; a larger one goes through a temporary file. Bytes.
_IN_MEMORY = 16 << 20
_ROOT = ContainerUser(0, 0)


class ArchiveTooLarge(Exception):
    """There is more in it than may come out."""


def packed(path: Path, below: Path, owner: ContainerUser = _ROOT) -> IO[bytes]:
    """An archive of a file, or of a folder with all that is in it, named as below `below`. The caller closes it."""

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname = owner.uid, owner.gid, "", ""
        member.mode |= 0o555 if member.isdir() else 0o444
        return member

    packing = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    with tarfile.open(fileobj=packing, mode="w") as archive:
        archive.add(path, arcname=path.relative_to(below).as_posix() or ".", filter=owned)
    packing.seek(0)
    return packing


def unpack(stream: Iterable[bytes], target: Path, most: int) -> None:
    """Put what an archive of `target` holds there: files and folders, nothing else. Raises TooMuch, OSError."""
    total = 0
    with tarfile.open(fileobj=cast(IO[bytes], _Stream(stream)), mode="r|") as archive:
        for member in archive:
            inner = PurePosixPath(member.name).parts[1:]  # the first is its own name
            if ".." in inner or not (member.isreg() or member.isdir()):
                continue
            total += max(member.size, 512)
            if total > most:
                raise ArchiveTooLarge
            place = target.joinpath(*inner)
            if member.isdir():
                place.mkdir(exist_ok=True)
                continue
            taken = archive.extractfile(member)
            assert taken is not None
            with place.open("wb") as file:
                while piece := taken.read(1 << 20):
                    file.write(piece)


class _Stream:
    """Pieces as they come, read as a file is."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        cut = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:cut], self._rest[cut:]
        return taken


def copy_in(client: Any, container: str, path: Path, below: Path, owner: ContainerUser = _ROOT) -> None:
    """Have what is at `path` at the same place in the container; `below` is a folder that was given to it."""
    with packed(path, below, owner) as archive:
        client.api.put_archive(container, str(below), archive)


def copy_out(client: Any, container: str, path: Path, most: int) -> None:
    """Have here what is at `path` in the container. Raises TooMuch, OSError, and the SDK's NotFound."""
    stream, _ = client.api.get_archive(container, str(path))
    unpack(stream, path, most)
