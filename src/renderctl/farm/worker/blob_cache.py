"""The blobs that a node keeps: each file once, whole and read-only, for every slot and worker that shares the folder.

blobs/ab/cdef…   a blob, by its SHA-256; what uses it has a hard link to it
incoming/        what is being downloaded, in a folder for each download, cleared away by whoever finds it dead
locks/           so that two slots do not download the same blob
"""

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from renderctl.blender.failures import SessionStopped
from renderctl.core.errors import BlobDamaged
from renderctl.core.jobs import Input
from renderctl.core.private_files import ensure_private_folder
from renderctl.farm import Farm
from renderctl.farm.node_id import host_name
from renderctl.farm.scratch import Scratch, abandoned
from renderctl.farm.worker.parallel import in_parallel

#: The time of change of every blob that is as it came: whoever writes to one changes it.
_SEALED_NS = 1_000_000_000 * 10**9
#: What a file system says that has no hard links, or not to there.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_LOCK_LOOK_S = 0.05


class BlobCache:
    """Brings blobs from the store to where a session reads them."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self.root = farm.settings.data_dir / "cache"

    def lay_out(self, inputs: Sequence[Input], folder: Path, *, stop: threading.Event, own: bool = False) -> None:
        """Put the inputs below `folder`: links that are not to be written to, or (`own`) copies.

        Raises StoreUnavailable, NotStored, BlobDamaged, OutputNotWritable, and SessionStopped soon after `stop`
        was set.
        """
        lacking = {file.digest: file for file in inputs if not self._sound(file)}
        if lacking:
            self._fetch_all(list(lacking.values()), stop)
        for parent in {(folder / file.path).parent for file in inputs}:
            parent.mkdir(parents=True, exist_ok=True)
        for file in inputs:
            self._place(file, folder / file.path, own=own, stop=stop)
        if lacking:
            self.shrink(self._farm.settings.worker.cache_mb << 20)

    def shrink(self, most_bytes: int) -> int:
        """Give up the least recently used blobs that nothing links to until `most_bytes` are left; the bytes freed."""
        blobs = list(self._blobs())
        total, freed = sum(stat.st_size for _, stat in blobs), 0
        for file, stat in sorted(blobs, key=lambda entry: entry[1].st_atime_ns):
            if total - freed <= most_bytes:
                break
            if stat.st_nlink == 1:
                file.unlink(missing_ok=True)
                freed += stat.st_size
        return freed

    def make_room(self, wanted_bytes: int) -> None:
        """Give up so many bytes, as far as there are that many in blobs that nothing links to."""
        total = sum(stat.st_size for _, stat in self._blobs())
        self.shrink(max(0, total - wanted_bytes))

    def _place(self, file: Input, target: Path, *, own: bool, stop: threading.Event) -> None:
        blob = self._blob(file.digest)
        while True:
            try:
                if own or not try_link(blob, target):
                    shutil.copyfile(blob, target)
                os.utime(blob, ns=(self._now_ns(), _SEALED_NS))
                return
            except FileNotFoundError:  # given up for room a moment ago
                target.unlink(missing_ok=True)
                self._fetch_all([file], stop)

    def _fetch_all(self, inputs: Sequence[Input], stop: threading.Event) -> None:
        for dead in abandoned(self.root / "incoming"):
            dead.remove()
        incoming = Scratch.claim_new(self.root / "incoming", "download")
        try:
            in_parallel(lambda file: self._fetch(file, incoming.path, stop), inputs)
        finally:
            incoming.remove()

    def _fetch(self, file: Input, incoming: Path, stop: threading.Event) -> None:
        blob = self._blob(file.digest)
        with self._locked(file.digest, stop):
            if self._sound(file):
                return  # another slot was quicker
            part = incoming / file.digest
            self._download(file.digest, part)
            part.chmod(0o444)
            os.utime(part, ns=(self._now_ns(), _SEALED_NS))
            ensure_private_folder(blob.parent)
            part.replace(blob)

    def _download(self, digest: str, part: Path) -> None:
        """Fetch a blob; once more when it came with other bytes, which may have changed on their way.

        Raises BlobDamaged, and reports it.
        """
        with suppress(BlobDamaged):
            return self._farm.store.get(digest, part)
        try:
            self._farm.store.get(digest, part)
        except BlobDamaged:
            self._farm.repository.damaged_blobs.report(digest, host_name())
            raise

    def _sound(self, file: Input) -> bool:
        """Whether the blob is here, and nobody has written to it."""
        try:
            stat = self._blob(file.digest).stat()
        except FileNotFoundError:
            return False
        return stat.st_size == file.size and stat.st_mtime_ns == _SEALED_NS

    @contextmanager
    def _locked(self, digest: str, stop: threading.Event) -> Iterator[None]:
        """One of a blob's downloads at a time; raises SessionStopped soon after `stop` was set."""
        file = self.root / "locks" / digest[:2]
        ensure_private_folder(self.root)
        ensure_private_folder(file.parent)
        with file.open("ab") as lock:
            while True:
                if stop.is_set():
                    raise SessionStopped
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                self._farm.clock.wait(stop, _LOCK_LOOK_S)
            yield

    def _blob(self, digest: str) -> Path:
        return self.root / "blobs" / digest[:2] / digest[2:]

    def _blobs(self) -> Iterator[tuple[Path, os.stat_result]]:
        for file in (self.root / "blobs").glob("*/*"):
            with suppress(FileNotFoundError):  # another slot gave it up
                yield file, file.stat()

    def _now_ns(self) -> int:
        return int(self._farm.clock.now().timestamp() * 1e9)


def try_link(blob: Path, target: Path) -> bool:
    """Link `target` to a blob; whether that can be done."""
    try:
        os.link(blob, target)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True
