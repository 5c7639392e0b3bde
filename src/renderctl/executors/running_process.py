"""A session that runs as a process of this machine, within its limits."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.core.errors import SessionEnded
from renderctl.executors import ExitStatus, SessionProcess
from renderctl.executors.disk_usage import directory_bytes, spare_mb
from renderctl.executors.line_reader import OutputLines
from renderctl.executors.oom import oom_kills
from renderctl.executors.process_exit import ended

if TYPE_CHECKING:
    from renderctl.executors.process_tree import ProcessTree

_UNKILLABLE_S = 10.0
_DYING_S = 1.0
#: Seconds between two looks at what it has written and started; so many times what a look takes, at least.
_LOOK_S, _LOOK_SHARE = 0.5, 50
#: Megabytes that are left free on the disk of its scratch, unless there was hardly more when it started.
_SPARE_MB = 512


@dataclass(frozen=True)
class SessionLimits:
    """What ends a session that goes beyond it."""

    scratch: Path
    scratch_mb: int | None = None  #: of files below it; None: no limit
    processes: int | None = None  #: None: no limit

    def broken(self, tree: "ProcessTree", given_bytes: int, room_mb: int) -> ExitStatus | None:
        """What it has gone beyond; `given_bytes` of its files are ours, `room_mb` were free when it started."""
        from renderctl.executors import exit_reasons

        with suppress(OSError):
            if self.scratch_mb is not None:
                most = (self.scratch_mb << 20) + given_bytes
                if directory_bytes(self.scratch, most) > most:
                    return exit_reasons.overfull(self.scratch_mb)
                if (spare := spare_mb(self.scratch)) < _SPARE_MB < room_mb // 2:
                    return exit_reasons.disk_full(spare)
            if self.processes is not None and tree.is_larger_than(self.processes):
                return exit_reasons.too_many_processes(self.processes)
        return None


class RunningProcess(SessionProcess):
    """A process that leads a group. One thread talks to it; any thread may stop it."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        tree: "ProcessTree",
        limits: SessionLimits,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_end` is called once, when nothing of it lives any more."""
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._lines = OutputLines(process.stdout.fileno(), process.pid)
        self._tree = tree
        self._busy_s = 0.0
        self._oom_kills = oom_kills()
        self._ending = threading.RLock()
        self._stopped_by_us = False
        self._status: ExitStatus | None = None
        self._limits = limits
        self._given_bytes = 0  # what we have put into its scratch counts for nothing
        self._offence: ExitStatus | None = None  # what we have killed it for
        self._over = threading.Event()
        self._on_end = on_end
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, line: str) -> None:
        rest = memoryview(line.encode("utf-8", "surrogateescape") + b"\n")
        try:
            while rest:
                rest = rest[self._input.write(rest) :]
        except (BrokenPipeError, ValueError) as error:  # ValueError: stop() has closed it
            raise self._session_ended() from error

    def receive(self, timeout_s: float) -> str | None:
        line = self._lines.read(timeout_s)
        if line is None and self._lines.at_end:
            raise self._session_ended()
        return line

    def busy_s(self) -> float:
        self._busy_s = max(self._busy_s, self._tree.busy_s())
        return self._busy_s

    def memory_mb(self) -> float:
        return self._tree.memory_mb()

    def deliver(self, path: Path) -> None:
        if path.is_relative_to(self._limits.scratch):  # it sees what we see
            self._given_bytes += directory_bytes(path, sys.maxsize)

    def fetch(self, path: Path) -> None:
        """It writes where we read."""

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        if grace_s > 0 and self._ask():
            ended(self._process.pid, grace_s)
        with self._ending:
            if self._status is None:
                self._end()
            return self._exit_status()

    def _ask(self) -> bool:
        """Ask the group to end; whether there is something to wait for."""
        with self._ending:
            if self._status is not None or ended(self._process.pid, 0.0):
                return False
            self._stopped_by_us = True
            os.killpg(self._process.pid, signal.SIGTERM)
            return True

    def _end(self) -> None:
        """Kill what is left. The leader is reaped last: until then nothing else gets its number."""
        self._stopped_by_us = self._stopped_by_us or not ended(self._process.pid, 0.0)
        self._tree.kill()
        self._status = self._exit_status()
        self._over.set()
        if ended(self._process.pid, _UNKILLABLE_S):
            self._process.wait()
        self._lines.close()
        self._input.close()
        self._output.close()
        self._on_end()

    def _session_ended(self) -> SessionEnded:
        # The pipe of a process that dies breaks a moment before it is dead.
        if self._status is None and not ended(self._process.pid, _DYING_S):
            return SessionEnded("It listens no more.")
        return SessionEnded(f"It ended: {self._exit_status()}.")

    def _exit_status(self) -> ExitStatus:
        with self._ending:
            return self._status or self._offence or self._look_at_exit()

    def _watch(self) -> None:
        """End it when it does what no scene has to do."""
        look_s, room = _LOOK_S, spare_mb(self._limits.scratch)
        while not self._over.wait(look_s) and not ended(self._process.pid, 0.0):
            began = time.monotonic()
            offence = self._limits.broken(self._tree, self._given_bytes, room)
            if offence is not None:
                self._punish(offence)
                return
            look_s = max(_LOOK_S, _LOOK_SHARE * (time.monotonic() - began))

    def _punish(self, offence: ExitStatus) -> None:
        with self._ending:
            if self._status is not None:
                return
            self._offence, self._stopped_by_us = offence, True
        self._tree.kill()

    def _look_at_exit(self) -> ExitStatus:
        seen = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return ExitStatus(code=None, signal=signal.SIGKILL, detail="it does not end although it was killed")
        if seen.si_code == os.CLD_EXITED:
            return ExitStatus(code=seen.si_status)
        if seen.si_status == signal.SIGKILL and not self._stopped_by_us and oom_kills() != self._oom_kills:
            return ExitStatus(None, signal.SIGKILL, out_of_memory=True, detail="the kernel killed it: out of memory")
        return ExitStatus(code=None, signal=seen.si_status)
