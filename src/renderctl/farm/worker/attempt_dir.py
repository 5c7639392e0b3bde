"""What a frame leaves, taken out of its session's reach before anybody believes it.

A session may write what it likes in its scratch: links to files of ours, pipes, folders that were others a moment ago.
So nothing is read there by name: what was written is moved, without following a link, to where no session writes.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from renderctl.blender.events import Written
from renderctl.blender.failures import SessionFailed
from renderctl.core.jobs import Failure, Fault
from renderctl.farm.scratch import clear_away
from renderctl.farm.worker.blob_cache import try_link

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: A frame leaves its image, and a file for each output of the compositor.
_MOST_FILES = 1000
#: Bytes of a log that are copied where it can not be linked.
_MOST_LOG = 64 << 20


class AttemptDir:
    """The places of one attempt: its folder in the session's scratch, and its log and what was taken outside of it."""

    def __init__(self, slot_dir: Path, name: str) -> None:
        """`slot_dir` is a folder that sessions have no part in."""
        self._session = slot_dir  # until we know it
        self._name = name
        self._is_linked = False
        self.log = self.log_alias = slot_dir / "logs" / f"{name}.log"  #: ours, and by the name that the session sees
        #: The folder of collected files, of this attempt and of those beside it.
        self.collected = collected_within(slot_dir)
        self._collected = self.collected / name

    @property
    def folder(self) -> Path:
        """Where the session puts what it renders."""
        return self._session / self._name

    def create(self, session: Path, header: str) -> None:
        """Make the folder in the scratch of a session, and the log with its first lines. Raises OSError."""
        self._session = session
        self.folder.mkdir()
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_text(header, encoding="utf-8")
        self.log_alias = session / self.log.name
        self._is_linked = try_link(self.log, self.log_alias)

    def collect_log(self) -> None:
        """On a disk without hard links, have in the log what was printed; elsewhere it is there already."""
        if self._is_linked or self.log_alias == self.log:
            return
        with suppress(OSError), _opened(self._session, ()) as folder:
            printed = os.open(self.log_alias.name, _FILE, dir_fd=folder)
            with open(printed, "rb") as source, self.log.open("ab") as log:  # noqa: PTH123
                if S_ISREG(os.fstat(printed).st_mode):
                    log.write(source.read(_MOST_LOG))

    def collect_outputs(self, written: tuple[Written, ...]) -> tuple[Written, ...]:
        """The same files where they are ours alone. Raises SessionFailed for what no frame leaves, OSError."""
        if len(written) > _MOST_FILES:
            raise _unexpected_file(f"{len(written)} files")
        self._collected.mkdir(parents=True)
        return tuple(self._collect(file, number) for number, file in enumerate(written))

    def clear(self) -> None:
        """Remove all of it."""
        for path in (self.log, self.log_alias, self.folder, self._collected):
            clear_away(path)

    def _collect(self, written: Written, number: int) -> Written:
        parts = PurePosixPath(written.name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise _unexpected_file(f"a file called {written.name!r}")
        target = self._collected / f"{number}{PurePosixPath(written.name).suffix}"
        try:
            with _opened(self._session, (self._name, *parts[:-1])) as folder:
                if not S_ISREG(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    raise _unexpected_file(f"{written.name!r}, which is no file")
                os.rename(parts[-1], target, src_dir_fd=folder)
        except NotADirectoryError as error:  # what O_NOFOLLOW says of a link, too
            raise _unexpected_file(f"{written.name!r} in a folder that is none") from error
        if not target.is_file() or target.is_symlink():  # it was another one a moment ago
            raise _unexpected_file(f"{written.name!r}, which is no file")
        return Written(target, written.name)


def collected_within(slot_dir: Path) -> Path:
    """Where a slot's frames lie, once they are out of their sessions' reach, until they are published."""
    return slot_dir / "taken"


@contextmanager
def _opened(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A folder below `root`, none of whose `parts` is a link."""
    with ExitStack() as stack:
        folder = os.open(root, _FOLDER)
        stack.callback(os.close, folder)
        for part in parts:
            folder = os.open(part, _FOLDER, dir_fd=folder)
            stack.callback(os.close, folder)
        yield folder


def _unexpected_file(what: str) -> SessionFailed:
    return SessionFailed(Failure(Fault.SCENE, f"Blender left {what}: scripts of the scene have done that."))
