"""Executors: how a session's Blender is started, and how everything it started is ended."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a Blender that is started ahead starts while the rest is imported
    from renderctl.core.jobs import Failure
    from renderctl.executors.images import RenderImage


@dataclass(frozen=True)
class LaunchSpec:
    """What to start."""

    argv: tuple[str, ...]
    scratch: Path  #: the one directory it may write to: its working directory, its TMPDIR and HOME lie there
    log: Path  #: gets what it prints on standard error
    environment: Mapping[str, str] = field(default_factory=dict)  #: beside a minimal one of the executor's own
    inputs: tuple[Path, ...] = ()  #: directories, or files, that it reads and never writes
    image: str | None = None  #: of the container, where it is started in one
    labels: Mapping[str, str] = field(default_factory=dict)  #: who started it and what for: see `Executor.reap`
    as_caller: bool = False  #: it reads files of ours that nobody else may read: it has our user, caged or not
    sandbox_mb: int | None = None  #: it only looks at a stranger's scene: with so much memory at most, and no GPU


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended."""

    code: int | None  #: exit code, when it ended by itself
    signal: int | None = None
    out_of_memory: bool = False
    detail: str | None = None
    failure: "Failure | None" = None  #: what it means, where that is known

    def __str__(self) -> str:
        if self.detail:
            return self.detail
        return f"signal {self.signal}" if self.signal else f"exit code {self.code}"


class SessionProcess(ABC):
    """A running session process: lines in, lines out."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Its process id, where it has one on this machine."""

    @abstractmethod
    def send(self, line: str) -> None:
        """Write one line to its standard input. Raises SessionEnded."""

    @abstractmethod
    def receive(self, timeout_s: float) -> str | None:
        """The next line of its standard output; None: none came within `timeout_s` seconds.

        Raises SessionEnded once the process has ended and its last line was read.
        """

    @abstractmethod
    def busy_s(self) -> float:
        """Processor seconds that it and everything it started have used."""

    @abstractmethod
    def memory_mb(self) -> float:
        """Megabytes of memory that it and everything it started use now."""

    @abstractmethod
    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        """End it and everything it started: asked first, killed after `grace_s` seconds. Idempotent."""

    @abstractmethod
    def deliver(self, path: Path) -> None:
        """Let it have what was put at `path`: in its scratch to write to, in an input to read. Raises SessionEnded."""

    @abstractmethod
    def fetch(self, path: Path) -> None:
        """Have here what it has left at `path` in its scratch. Raises SessionEnded."""


class Executor(ABC):
    """Starts sessions."""

    #: Whether what it starts reaches nothing but its scratch and its inputs, so that it may run anybody's scripts.
    caged = False
    #: Whether what it starts reads and writes nothing of this machine but what it is given, as far as is known.
    sandboxed = False
    #: Whether what it starts sees our disk, as far as is known: else files are carried in and out.
    shares_disk = True

    @abstractmethod
    def start(self, launch: LaunchSpec) -> SessionProcess:
        """Start it. Raises BlenderMissing when the program is not there, Unreachable when it can not be started."""

    @abstractmethod
    def check(self) -> str:
        """What the executor is, in a few words. Raises Unreachable."""

    def may_read(self, path: Path) -> bool:
        """Whether a session may be given this file or folder of ours."""
        return True

    def images(self) -> "Sequence[RenderImage] | None":
        """What it has Blenders from; None: from this machine, which it sees as we do. Raises Unreachable."""
        return None

    def advice(self) -> Iterable[str]:
        """What could be better about it, a sentence each. Raises Unreachable."""
        return ()

    def reap(self, labels: Mapping[str, str]) -> int:
        """End every session that was started with these labels, whoever started it; how many there were.

        For those of a worker that is dead. What can not be ended now is ended before the next start.
        """
        return 0

    @abstractmethod
    def close(self) -> None:
        """Let go of what starting sessions needs; sessions that run go on."""
