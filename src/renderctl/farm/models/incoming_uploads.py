"""Uploads through the server, for users who can not reach the store themselves.

A user who may read a blob already need not send it. Everybody else sends all of its bytes, even if the store has it: to
know a digest is not to know the content.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, DigestMismatch, InvalidInput, MissingFiles, StoreUnavailable, TooLarge
from renderctl.core.jobs import Input, Replacement
from renderctl.core.limits import MAX_FILES, require_few
from renderctl.core.permissions import visibility_of
from renderctl.core.private_files import ensure_private_folder
from renderctl.farm import Farm
from renderctl.farm.authorization import require, subject_of_project
from renderctl.farm.models.blob_upload import missing_from_store, put_blob
from renderctl.farm.models.disk_reserve import require_space
from renderctl.farm.people.quotas import quotas_for

if TYPE_CHECKING:
    from renderctl.core.blobs import BlobReader

_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Seconds for which an address is good, and after which a file that nobody goes on sending is given up.
_ADDRESS_S, _GIVE_UP_S = 3600.0, 86_400.0
#: Bytes of a path: with the folder that a worker lays it out in, file systems take 4096.
_MOST_PATH = 3500
#: Bytes that an S3 takes in one request.
_MOST_DIRECT = 5 << 30


@dataclass(frozen=True)
class WantedFile:
    """A file that has to be sent."""

    digest: str
    url: str | None  #: where it may be PUT, to be promoted then; None: to the server alone


def wanted_files(
    farm: Farm, actor: Actor, files: Sequence[Input], *, project: str | None = None, verify: bool = False
) -> list[WantedFile]:
    """Those of the files that the actor has to send: they count from now on.

    Raises NotAllowed, InvalidInput, TooLarge, QuotaExceeded, StoreFull.
    """
    _may_send(farm, actor, project)
    require_few("files", files, MAX_FILES)
    sizes = {_checked(file.digest): file.size for file in files}
    for size in sizes.values():
        _check_size(farm, size)
    known = farm.repository.blobs.readable(sizes, _reader(actor)).keys()
    lacking = (
        (sizes.keys() - known) | missing_from_store(farm, known, verify) | farm.repository.damaged_blobs.among(known)
    )
    require_space(farm, sum(sizes[digest] for digest in lacking), max((sizes[digest] for digest in lacking), default=0))
    farm.repository.blobs.announce({digest: sizes[digest] for digest in lacking}, actor.name, quotas_for(farm, actor))
    direct = farm.settings.serve.direct
    return [
        WantedFile(digest, _address(farm, digest, sizes[digest], actor) if direct else None)
        for digest in sorted(lacking)
    ]


class PartialUpload:
    """A file of which some bytes are here."""

    def __init__(self, farm: Farm, digest: str, actor: Actor) -> None:
        self._farm = farm
        self._digest = _checked(digest)
        self._actor = actor
        self.path = farm.settings.data_dir / "incoming" / f"{_staged(digest, actor)}.part"

    @property
    def size(self) -> int:
        """Bytes that are here."""
        with _written(self.path):
            try:
                return self.path.stat().st_size
            except FileNotFoundError:
                return 0

    @contextmanager
    def begun(self, offset: int) -> Iterator["UploadWriter"]:
        """Go on with it after so many bytes; nobody else does meanwhile. Raises Conflict, StoreUnavailable."""
        with _written(self.path):
            ensure_private_folder(self.path.parent)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise Conflict("This file is being sent already.", hint="Wait for that, or try again.") from error
                there = os.fstat(file).st_size
                if offset > there:
                    raise Conflict(f"Only {there} bytes are here: it can not go on at {offset}.")
                os.ftruncate(file, offset)
                os.lseek(file, offset, os.SEEK_SET)
                yield UploadWriter(file, self.path)
            finally:
                os.close(file)

    def complete(self, size: int) -> None:
        """All is here: have it in the store, if it is what was promised. Raises DigestMismatch, StoreUnavailable."""
        try:
            self._farm.repository.blobs.lease([self._digest])  # the one of its announcement may have ended
            put_blob(self._farm, self.path, self._digest)
            self._farm.repository.blobs.mark_received(self._digest, size, self._actor.name)
        except DigestMismatch as error:
            self.path.unlink(missing_ok=True)
            raise DigestMismatch("The bytes are not those that were promised: all were thrown away.") from error
        self.path.unlink(missing_ok=True)


class UploadWriter:
    """Appends to a part."""

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, content: bytes) -> None:
        """Raises StoreUnavailable."""
        with _written(self._path):
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._file, rest) :]


def partial_upload(farm: Farm, actor: Actor, digest: str, size: int | None = None) -> PartialUpload:
    """What is here of a file that the actor sends; with its size: it is going on.

    Raises NotAllowed, InvalidInput, TooLarge, QuotaExceeded, StoreFull.
    """
    _may_send(farm, actor, None)
    if size is not None:
        _check_size(farm, size)
        _require_counted(farm, _checked(digest), size, actor)
    part = PartialUpload(farm, digest, actor)
    if size is not None:
        require_space(farm, size, max(0, size - part.size))
    _give_up_old(farm, part.path.parent)
    return part


def promote(farm: Farm, actor: Actor, digest: str, size: int) -> None:
    """A file was put at its address: take it over.

    Raises NotStored, DigestMismatch, StoreUnavailable, QuotaExceeded.
    """
    _may_send(farm, actor, None)
    _require_counted(farm, _checked(digest), size, actor)
    farm.repository.blobs.lease([digest])
    farm.store.promote(_staged(digest, actor), digest, size)
    farm.repository.damaged_blobs.mark_repaired([digest])
    farm.repository.blobs.mark_received(digest, size, actor.name)


def require_uploaded(
    farm: Farm, actor: Actor, inputs: Sequence[Input], replacements: Sequence[Replacement] = ()
) -> None:
    """Refuse files that the actor may not read, and paths that leave the root of the model.

    Raises MissingFiles, InvalidInput.
    """
    paths = {file.path for file in inputs}
    if len(paths) < len(inputs):
        raise InvalidInput("Two files have the same path.")
    for file in inputs:
        _checked(file.digest)
        validated_path(file.path)
    in_order = sorted(path.replace("/", "\0") for path in paths)  # what lies in a folder comes right behind it
    if below := next((path for path, after in pairwise(in_order) if after.startswith(f"{path}\0")), None):
        raise InvalidInput(f"{below.replace(chr(0), '/')[:100]!r} is a file and a folder.")
    for replacement in replacements:
        if replacement.file not in paths:
            raise InvalidInput(f"{replacement.file!r} is none of the files of the job.")
    known = farm.repository.blobs.readable({file.digest for file in inputs}, _reader(actor)) if inputs else {}
    missing = [file.path for file in inputs if known.get(file.digest) != file.size]
    if missing:
        raise MissingFiles(f"{len(missing)} files were not sent, such as {missing[0]!r}.", hint="Send them, and again.")


def validated_path(path: str) -> str:
    """A path below a root, and nowhere else. Raises InvalidInput."""
    parts = PurePosixPath(path).parts
    odd = path.startswith("/") or ".." in parts or "\0" in path or not parts or str(PurePosixPath(path)) != path
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    if odd or max(lengths) > 255 or sum(lengths) + len(lengths) > _MOST_PATH:
        raise InvalidInput(f"{path[:100]!r} can not be the path of a file of a model.")
    return path


def _reader(actor: Actor) -> "BlobReader":
    from renderctl.core.blobs import BlobReader

    return BlobReader(actor.name, visibility_of(actor, "model.see"), visibility_of(actor, "job.see"))


def _may_send(farm: Farm, actor: Actor, project: str | None) -> None:
    """Files that are sent belong to no project yet: without one, any project of the user will do."""
    own = min(actor.projects, default=actor.default_project)
    require(farm, actor, "model.upload", subject_of_project(project or own))


def _check_size(farm: Farm, size: int) -> None:
    most = farm.settings.serve.upload_mb << 20
    if not 0 <= size <= most:
        raise TooLarge(f"A file of {size} bytes is not taken.", hint=f"serve.upload_mb allows {most} bytes.")


def _require_counted(farm: Farm, digest: str, size: int, actor: Actor) -> None:
    """Whoever sends what they have not announced does so now."""
    quotas = quotas_for(farm, actor)
    if quotas.of(actor.name, None) and not farm.repository.blobs.is_announced(digest, size, actor.name):
        farm.repository.blobs.announce({digest: size}, actor.name, quotas)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest[:80]!r} is not a SHA-256 in hex.")
    return digest


def _staged(digest: str, actor: Actor) -> str:
    """A name for what a user sends, theirs alone: nobody resumes another user's upload."""
    return f"{hashlib.sha256(actor.name.encode()).hexdigest()[:16]}-{_checked(digest)}"


def _address(farm: Farm, digest: str, size: int, actor: Actor) -> str | None:
    return farm.store.staging_url(_staged(digest, actor), size, _ADDRESS_S) if size <= _MOST_DIRECT else None


def _give_up_old(farm: Farm, folder: Path) -> None:
    now = farm.clock.now().timestamp()
    with _written(folder):
        for part in folder.glob("*.part"):
            with suppress(FileNotFoundError):  # it was kept meanwhile, or given up by another request
                if now - part.stat().st_mtime > _GIVE_UP_S:
                    part.unlink()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreUnavailable(f"{path.parent} can not be used: {error.strerror or error}.") from error
