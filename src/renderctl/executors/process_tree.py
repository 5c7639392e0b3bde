"""A process with all its descendants, daemonized ones included: resource usage and killing."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from renderctl.executors.process_exit import has_ended

_ROUNDS = 50
_ROUND_S = 0.2


@dataclass(frozen=True)
class ProcessTree:
    """The process `leader`, its descendants, its session, and all processes that inherited the variable `marker`.

    A child that created its own session and lost its parent is only found by the marker.
    """

    leader: int
    marker: tuple[str, str]  #: name and value of a variable that is unique to this tree

    def busy_s(self) -> float:
        """Return the processor seconds of the leader and its descendants, ended children included."""
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def memory_mb(self) -> float:
        """Return the resident memory of the leader and its descendants, in megabytes (of 2**20 bytes)."""
        return self._sum(lambda process: process.memory_info().rss / (1 << 20))

    def has_more_than(self, most: int) -> bool:
        """Return whether it has more than `most` processes. Cheap while the whole machine has fewer."""
        return len(psutil.pids()) > most and sum(1 for _ in self._members()) > most

    def kill(self) -> None:
        """SIGKILL all processes until none is left. The leader stays a zombie until its parent reaps it."""
        for process in self._family():  # usually these are all
            with suppress(psutil.Error):
                process.kill()
        has_ended(self.leader, _ROUND_S)
        for _ in range(_ROUNDS):
            alive = [process for process in self._members() if _is_running(process)]
            if not alive:
                return
            for process in alive:
                with suppress(psutil.Error):
                    process.kill()
            for process in alive:
                has_ended(process.pid, _ROUND_S)

    def _sum(self, measure: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self._family():
            with suppress(psutil.Error):
                total += measure(process)
        return total

    def _family(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self.leader)
            return [leader, *leader.children(recursive=True)]
        except psutil.Error:
            return []

    def _members(self) -> Iterator[psutil.Process]:
        family = {process.pid for process in self._family()}
        for process in psutil.process_iter():
            if process.pid in family or self._in_session(process.pid) or self._has_marker(process):
                yield process

    def _in_session(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.leader
        except OSError:
            return False

    def _has_marker(self, process: psutil.Process) -> bool:
        name, value = self.marker
        try:
            return process.environ().get(name) == value
        except (psutil.Error, OSError):
            return False


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    return psutil.pid_exists(pid) and _is_running(psutil.Process(pid))


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
