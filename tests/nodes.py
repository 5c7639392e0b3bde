"""Real processes of one farm on this machine, and the ways in which they come to harm."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from renderctl.core.clocks import SystemClock
from renderctl.core.settings import Settings, load_settings

#: Seconds: short, so that a round is; a healthy worker on a busy machine may well be taken for dead now and then.
HEARTBEAT_S, LIMIT_S = 0.2, 1.0
CLOCK = SystemClock()
RENDERCTL = (sys.executable, "-m", "renderctl")


def until(fact: Callable[[], bool], within_s: float, *, what: str) -> None:
    """Wait for a fact; a failure of the test when it does not come true in time."""
    give_up = CLOCK.monotonic() + within_s
    while not fact():
        if CLOCK.monotonic() > give_up:
            pytest.fail(f"not within {within_s:g} s: {what}")
        CLOCK.wait(None, 0.01)


@dataclass
class Node:
    """One `renderctl` process, such as a worker."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def freeze_between_transactions(self, database: Path) -> None:
        """Freeze it while we hold the lock of the database: one that held it would stop the whole farm with it."""
        with closing(sqlite3.connect(database, timeout=10.0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self.freeze()
            until(
                lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED, 10, what="a frozen worker"
            )

    @property
    def blenders(self) -> list[psutil.Process]:
        """What it has started."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill_blender(self) -> bool:
        """Whether there was one."""
        for blender in self.blenders:
            with suppress(psutil.NoSuchProcess):
                blender.kill()
                return True
        return False

    def end(self, within_s: float = 30.0) -> int:
        """Ask it to leave; its exit code."""
        self.process.terminate()
        return self.wait(within_s)

    def wait(self, within_s: float = 30.0) -> int:
        """Until it has ended; its exit code. One that does not says where its threads stand, in its log."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            pytest.fail(f"{self.name} does not leave within {within_s:g} s:\n{self.log.read_text()}")


@dataclass
class Site:
    """A farm in a folder, and the processes that were started on it."""

    data: Path
    logs: Path
    nodes: list[Node] = field(default_factory=list)
    services: Mapping[str, str] = field(default_factory=dict)  #: the variables that name them
    desk: dict[str, str] = field(default_factory=dict)  #: what only the desk at which a test sits is told

    def variables(self, _name: str) -> dict[str, str]:
        """The settings of a node."""
        return {
            "RENDERCTL_DATA_DIR": str(self.data),
            "RENDERCTL_WORKER__HEARTBEAT": str(HEARTBEAT_S),
            "RENDERCTL_WORKER__HEARTBEAT_LIMIT": str(LIMIT_S),
            **self.services,
        }

    @property
    def settings(self) -> Settings:
        """The settings of the desk at which a test sits."""
        return load_settings(environment=self.variables("desk"), default_data_dir=self.data)

    def start(self, name: str, *arguments: str, program: Sequence[str] = RENDERCTL) -> Node:
        """Start `renderctl ARGUMENTS` on the node, or another program."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{len(self.nodes):02d}-{name}.log"
        command, environment = [*program, *arguments], self._environment(name)
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=self.logs)
        node = Node(name, process, log)
        self.nodes.append(node)
        return node

    def start_worker(self, name: str, *options: str) -> Node:
        return self.start(name, "worker", "--name", name, *options)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`renderctl ARGUMENTS`, to its end."""
        environment = self._environment("desk") | self.desk
        return subprocess.run(
            [*RENDERCTL, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def scratches(self) -> list[Path]:
        """What the processes have for themselves while they live."""
        return sorted((self.data / "scratch").iterdir())

    def clear(self) -> None:
        """Have a worker start that clears away what the dead have left."""
        assert self.run("worker", "--name", "charwoman", "--exit-when-idle", "0.1").returncode == 0

    def blenders(self) -> list[psutil.Process]:
        """Every living Blender of this farm, whoever started it and whoever has it now."""
        return [each for each in psutil.process_iter() if _works_below(each, self.data)]

    def end_all(self) -> None:
        for node in self.nodes:
            if node.alive:
                node.thaw()
                node.kill()

    def _environment(self, name: str) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("RENDERCTL_")}
        return ours | {"PYTHONFAULTHANDLER": "1"} | self.variables(name)


@contextmanager
def site_in(folder: Path, services: Mapping[str, str] = MappingProxyType({})) -> Iterator[Site]:
    """A farm, embedded unless variables name services, whose processes do not outlive the context."""
    site = Site(folder / "data", folder / "logs", services=services)
    try:
        yield site
    finally:
        site.end_all()


def _works_below(process: psutil.Process, folder: Path) -> bool:
    """A session has its TMPDIR in its scratch."""
    try:
        return process.environ().get("TMPDIR", "").startswith(f"{folder}/") and process.status() != "zombie"
    except (psutil.Error, OSError):
        return False
