"""One server of our own: how it starts, stops, and comes to harm."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, ClassVar, TypeVar

import psutil

from renderctl.core.clocks import SystemClock
from tests.memory import memory_folder

CLOCK = SystemClock()
START_S, STOP_S = 120.0, 20.0
#: Bytes that have to be free in memory for the files of the servers; else they lie on the disk.
_MEMORY = 4 << 30
Environment = Mapping[str, str]
#: Kills a session of processes when we are gone without having said that it is: then our end of the pipe is closed.
_GUARD = 'read -r gone || kill -s KILL -- "-$1"'


def _moves(process: psutil.Process) -> bool:
    """Whether a thread of it still has to hear that it was stopped."""
    states = list(Path(f"/proc/{process.pid}/task").glob("*/stat"))
    with suppress(OSError):
        return any(each.read_text().rpartition(")")[2].split()[0] not in "TtZX" for each in states)
    return False


class ServerFailed(Exception):
    """A server did not do what it was told."""


class Server(ABC):
    """A private server; its folder and ports stay the same from one start to the next."""

    name: ClassVar[str]
    #: What tells a test to use another server: its URL.
    variable: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    #: Whether its files may lie in memory, where no commit waits for a disk; a kill leaves them there.
    in_memory: ClassVar[bool] = False

    def __init__(self) -> None:
        # not below a test's folder: the paths of sockets end after a hundred characters
        self.folder = Path(
            tempfile.mkdtemp(prefix=f"renderctl-{self.name}-", dir=memory_folder(_MEMORY) if self.in_memory else None)
        )
        self.log = self.folder / "log"
        self.port = free_port()
        self._children: list[subprocess.Popen[bytes]] = []
        self._guards: dict[int, subprocess.Popen[bytes]] = {}
        self._prepared = False
        self._discarded = False
        self._lock = threading.Lock()  # whoever discards it is in another thread than who starts it

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, with user and password."""

    @property
    def variables(self) -> dict[str, str]:
        """What makes tests use it."""
        return {self.variable: self.url}

    @abstractmethod
    def prepare(self) -> None:
        """Make its files, once in its life."""

    @abstractmethod
    def launch(self) -> None:
        """Start its processes with `spawn`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client gets an answer. Any exception counts as no."""

    @classmethod
    def missing(cls) -> str | None:
        """What a machine lacks that can not run it, and what to do; None: nothing."""
        lacking = [program for program in cls.programs if find_program(program) is None]
        if not lacking:
            return None
        return f"There is no {' and no '.join(lacking)}: tools/setup.sh services, or set {cls.variable}"

    def start(self) -> None:
        """Start, or start again; it answers when this returns. Raises ServerFailed."""
        if not self._prepared:
            self.prepare()
            self._prepared = True
        self.launch()
        self.wait_until(self.answers, "an answer")

    def stop(self) -> None:
        """Ask it to end in good order, and wait for that."""
        self.thaw()
        for child in reversed(self._children):
            self.ask_to_end(child)
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
        self.kill()

    def kill(self) -> None:
        """Kill -9 of everything it started."""
        with self._lock:
            doomed = self.processes()
            for process in doomed:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            for child in self._children:
                child.wait()
                self._dismiss(child)
            self._children.clear()
        psutil.wait_procs(doomed, timeout=STOP_S)

    def end(self, child: "subprocess.Popen[bytes]") -> None:
        """Kill -9 of one of its processes."""
        with self._lock:
            child.kill()
            child.wait()
            self._children.remove(child)
            self._dismiss(child)

    def restart(self) -> None:
        """Stop and start in good order, with the same files and ports."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the clock of all its processes: clients connect, and get no answer. Returns when they stand still."""
        self._signal(signal.SIGSTOP)
        give_up = CLOCK.monotonic() + STOP_S
        while any(map(_moves, self.processes())) and CLOCK.monotonic() < give_up:
            CLOCK.wait(None, 0.01)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def discard(self) -> None:
        """End it at once and remove its files; from any thread, also while it starts in another one."""
        self._discarded = True
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """All of them, parents first."""
        found = []
        for child in self._children:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(child.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def ask_to_end(self, child: "subprocess.Popen[bytes]") -> None:
        child.terminate()

    def spawn(
        self, *command: str, environment: Environment = MappingProxyType({}), kept: Sequence[int] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start a process of the server; files in `kept` stay open for it."""
        with self.log.open("ab") as log:
            return self._begin(command, environment, log, kept)

    def run(self, *command: str, environment: Environment = MappingProxyType({}), within_s: float = START_S) -> str:
        """What a command prints. Raises ServerFailed."""
        with tempfile.TemporaryFile() as said:
            child = self._begin(command, environment, said)
            with suppress(subprocess.TimeoutExpired):
                child.wait(within_s)
            child.kill()
            code = child.wait()
            with self._lock, suppress(ValueError):
                self._children.remove(child)
                self._dismiss(child)
            said.seek(0)
            text = said.read().decode(errors="replace")
        if code != 0:
            raise ServerFailed(f"{' '.join(command)} ended with {code}:\n{text}")
        return text

    def _begin(
        self, command: Sequence[str], environment: Environment, output: IO[bytes], kept: Sequence[int] = ()
    ) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._discarded:
                raise ServerFailed(f"{self.name} was discarded.")
            child = subprocess.Popen(
                [_found(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=os.environ | environment,
                pass_fds=kept,
                start_new_session=True,  # Ctrl-C is for us alone
            )
            self._children.append(child)
            self._guards[child.pid] = subprocess.Popen(
                ["sh", "-c", _GUARD, "guard", str(child.pid)], stdin=subprocess.PIPE, start_new_session=True
            )
            return child

    def _dismiss(self, child: "subprocess.Popen[bytes]") -> None:
        """A guard whose process is gone has nothing to do: the number may soon be another one's."""
        guard = self._guards.pop(child.pid, None)
        if guard is not None:
            guard.communicate(b"gone\n")

    def wait_until(self, fact: Callable[[], bool], what: str, within_s: float = START_S) -> None:
        """Wait for a fact while all processes live. Raises ServerFailed."""
        give_up = CLOCK.monotonic() + within_s
        while not is_so(fact):
            ended = [str(child.args) for child in self._children if child.poll() is not None]
            if ended or CLOCK.monotonic() > give_up:
                why = f"{ended[0]} ended" if ended else f"not within {within_s:g} s"
                said = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
                raise ServerFailed(f"{self.name} on port {self.port}: {what}: {why}\n{said}")
            CLOCK.wait(None, 0.05)

    def _signal(self, number: int) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


Kind = TypeVar("Kind", bound=Server)


@contextmanager
def running(kind: type[Kind]) -> Iterator[Kind]:
    """A server that runs, and is gone with all its files after the context. Raises ServerFailed."""
    server = kind()
    try:
        server.start()
        yield server
    finally:
        server.discard()


def free_port() -> int:
    """A port that nobody has, below those that the kernel gives to clients: it is still free after a restart."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def find_program(name: str) -> str | None:
    """Where a program is; an ordinary user's PATH lacks the folders of administrators.

    RabbitMQ's own folder comes first: what Debian has put before its programs changes the user.
    """
    folders = ["/usr/lib/rabbitmq/bin", os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def _found(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise ServerFailed(f"There is no {name}.")
    return path


def is_so(fact: Callable[[], bool]) -> bool:
    """Whether it is: every client has errors of its own for a server that is not there."""
    try:
        return fact()
    except Exception:
        return False
