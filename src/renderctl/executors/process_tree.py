"""A process and everything that it started, wherever that went: what it uses, and how it is ended."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from renderctl.executors.process_exit import ended

_ROUNDS = 50
_ROUND_S = 0.2


@dataclass(frozen=True)
class ProcessTree:
    """The process `leader`, its descendants, its session, and all that inherited the variable `mark`.

    A child that made a session of its own and lost its parent can be told by the mark alone.
    """

    leader: int
    mark: tuple[str, str]  #: name and value of a variable that no other tree has

    def busy_s(self) -> float:
        """Processor seconds of the leader and its descendants, and of those of them that have ended."""
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def memory_mb(self) -> float:
        """Resident megabytes (of 2**20 bytes) of the leader and its descendants."""
        return self._sum(lambda process: process.memory_info().rss / (1 << 20))

    def is_larger_than(self, most: int) -> bool:
        """Whether it has more than `most` processes. Costs next to nothing while the whole machine has fewer."""
        return len(psutil.pids()) > most and sum(1 for _ in self._members()) > most

    def kill(self) -> None:
        """SIGKILL all of it, again until nothing is left. The leader stays a zombie until its parent reaps it."""
        for process in self._family():  # most have nobody else: then one look is enough
            with suppress(psutil.Error):
                process.kill()
        ended(self.leader, _ROUND_S)
        for _ in range(_ROUNDS):
            alive = [each for each in self._members() if _lives(each)]
            if not alive:
                return
            for each in alive:
                with suppress(psutil.Error):
                    each.kill()
            for each in alive:
                ended(each.pid, _ROUND_S)

    def _sum(self, use: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self._family():
            with suppress(psutil.Error):
                total += use(process)
        return total

    def _family(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self.leader)
            return [leader, *leader.children(recursive=True)]
        except psutil.Error:
            return []

    def _members(self) -> Iterator[psutil.Process]:
        family = {each.pid for each in self._family()}
        for process in psutil.process_iter():
            if process.pid in family or self._in_session(process.pid) or self._bears_mark(process):
                yield process

    def _in_session(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.leader
        except OSError:
            return False

    def _bears_mark(self, process: psutil.Process) -> bool:
        name, value = self.mark
        try:
            return process.environ().get(name) == value
        except (psutil.Error, OSError):
            return False


def is_alive(pid: int) -> bool:
    """Whether there is such a process, other than one that waits to be reaped."""
    return psutil.pid_exists(pid) and _lives(psutil.Process(pid))


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
