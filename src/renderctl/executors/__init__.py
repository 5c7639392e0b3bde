"""Executors: how a session's Blender is started, and how everything it started is ended."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Launch:
    """What to start."""

    argv: tuple[str, ...]
    scratch: Path  #: the one directory it may write to: its working directory, its TMPDIR and HOME lie there
    log: Path  #: gets what it prints on standard error
    environment: Mapping[str, str] = field(default_factory=dict)  #: beside a minimal one of the executor's own
    inputs: tuple[Path, ...] = ()  #: directories that it reads and never writes


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended."""

    code: int | None  #: exit code, when it ended by itself
    signal: int | None = None
    out_of_memory: bool = False
    detail: str | None = None

    def __str__(self) -> str:
        if self.detail:
            return self.detail
        return f"signal {self.signal}" if self.signal else f"exit code {self.code}"


class Running(ABC):
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


class Executor(ABC):
    """Starts sessions."""

    @abstractmethod
    def start(self, launch: Launch) -> Running:
        """Start it. Raises BlenderMissing when the program is not there, Unreachable when it can not be started."""

    @abstractmethod
    def check(self) -> str:
        """What the executor is, in a few words. Raises Unreachable."""
