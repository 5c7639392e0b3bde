"""The executor port: starting the Blender process of a session, and ending it with everything that it started."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a prewarmed Blender starts while the rest is imported
    from renderctl.core.jobs import Failure
    from renderctl.executors.images import RenderImage


@dataclass(frozen=True)
class LaunchSpec:
    """The process to start, and what it may access."""

    argv: tuple[str, ...]
    scratch: Path  #: the only directory it may write to: working directory, TMPDIR and HOME
    log: Path  #: file that its standard error is appended to
    environment: Mapping[str, str] = field(default_factory=dict)  #: in addition to the executor's minimal environment
    inputs: tuple[Path, ...] = ()  #: directories and files that it may read
    image: str | None = None  #: container image, for executors of containers
    labels: Mapping[str, str] = field(default_factory=dict)  #: identify the worker that started it, for `Executor.reap`
    as_current_user: bool = False  #: run as this process's user, whose private files it reads, even in a container
    sandbox_mb: int | None = None  #: set to inspect an untrusted scene: memory limit in MB, and no GPU


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended."""

    code: int | None  #: exit code; None if a signal ended it
    signal: int | None = None
    out_of_memory: bool = False
    detail: str | None = None
    failure: "Failure | None" = None  #: the failure behind it, if known

    def __str__(self) -> str:
        if self.detail:
            return self.detail
        return f"signal {self.signal}" if self.signal else f"exit code {self.code}"


class SessionProcess(ABC):
    """A running session process, which exchanges lines of text over its standard streams."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The process id, or None if it does not run on this machine."""

    @abstractmethod
    def send(self, line: str) -> None:
        """Write one line to its standard input. Raises SessionEnded."""

    @abstractmethod
    def receive(self, timeout_s: float) -> str | None:
        """Return the next line of its standard output, or None if none came within `timeout_s` seconds.

        Raises SessionEnded once the process has ended and its last line was read.
        """

    @abstractmethod
    def busy_s(self) -> float:
        """Return the processor seconds used by it and its descendants."""

    @abstractmethod
    def memory_mb(self) -> float:
        """Return the memory used by it and its descendants, in megabytes (of 2**20 bytes)."""

    @abstractmethod
    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        """End it and everything it started: SIGTERM first if `grace_s` seconds are given, then SIGKILL. Idempotent."""

    @abstractmethod
    def deliver(self, path: Path) -> None:
        """Make `path`, in its scratch or its inputs, available to it, by a copy if need be. Raises SessionEnded."""

    @abstractmethod
    def fetch(self, path: Path) -> None:
        """Make `path` in its scratch, with what it wrote, available here. Raises SessionEnded."""


class Executor(ABC):
    """Starts session processes."""

    #: Whether sessions reach nothing but their scratch and inputs, so that they may run untrusted scripts.
    isolated = False
    #: Whether sessions can access only the files of this machine that they are given.
    sandboxed = False
    #: Whether sessions share this machine's disk, as far as is known; otherwise files are copied in and out.
    shares_disk = True

    @abstractmethod
    def start(self, launch: LaunchSpec) -> SessionProcess:
        """Start a process. Raises BlenderMissing if the program is missing, Unreachable if it cannot be started."""

    @abstractmethod
    def check(self) -> str:
        """Return the kind of the executor in a few words, after a test of it. Raises Unreachable."""

    def may_read(self, path: Path) -> bool:
        """Return whether a session may be given access to this file or folder."""
        return True

    def images(self) -> "Sequence[RenderImage] | None":
        """Return the render images with Blenders, or None if it uses this machine's. Raises Unreachable."""
        return None

    def advice(self) -> Iterable[str]:
        """Return possible improvements, a sentence each, for `doctor`. Raises Unreachable."""
        return ()

    def reap(self, labels: Mapping[str, str]) -> int:
        """End all sessions with these labels, left by a dead worker; returns their number.

        Sessions that cannot be ended now are ended before the next start.
        """
        return 0

    @abstractmethod
    def close(self) -> None:
        """Release resources; running sessions continue."""
