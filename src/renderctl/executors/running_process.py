"""A session process of this machine, and the watchdog of its limits."""

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
from renderctl.executors.disk_usage import directory_bytes, free_mb
from renderctl.executors.line_reader import LineReader
from renderctl.executors.oom import oom_kills
from renderctl.executors.process_exit import has_ended

if TYPE_CHECKING:
    from renderctl.executors.process_tree import ProcessTree

_KILL_TIMEOUT_S = 10.0
_EXIT_TIMEOUT_S = 1.0
#: Seconds between two checks of the limits; at least this many times what a check takes.
_CHECK_INTERVAL_S, _CHECK_COST_FACTOR = 0.5, 50
#: Megabytes to keep free on the disk of its scratch, unless there was hardly more at its start.
_MIN_FREE_MB = 512


@dataclass(frozen=True)
class SessionLimits:
    """Limits whose violation ends the session."""

    scratch: Path
    scratch_mb: int | None = None  #: files below the scratch, in MB; None: unlimited
    processes: int | None = None  #: None: unlimited

    def violation(self, tree: "ProcessTree", delivered_bytes: int, free_at_start_mb: int) -> ExitStatus | None:
        """Return the status for the violated limit, or None. `delivered_bytes` of its files do not count."""
        from renderctl.executors import exit_reasons

        with suppress(OSError):
            if self.scratch_mb is not None:
                most = (self.scratch_mb << 20) + delivered_bytes
                if directory_bytes(self.scratch, most) > most:
                    return exit_reasons.scratch_limit_exceeded(self.scratch_mb)
                if (free := free_mb(self.scratch)) < _MIN_FREE_MB < free_at_start_mb // 2:
                    return exit_reasons.disk_full(free)
            if self.processes is not None and tree.has_more_than(self.processes):
                return exit_reasons.too_many_processes(self.processes)
        return None


class LocalSessionProcess(SessionProcess):
    """The leader of a process group. One thread exchanges lines with it; any thread may stop it."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        tree: "ProcessTree",
        limits: SessionLimits,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_end` is called once, after all its processes have ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._lines = LineReader(process.stdout.fileno(), process.pid)
        self._tree = tree
        self._busy_s = 0.0
        self._oom_kills = oom_kills()
        self._end_lock = threading.RLock()
        self._stop_requested = False
        self._status: ExitStatus | None = None
        self._limits = limits
        self._delivered_bytes = 0  # put into its scratch by the worker
        self._violation: ExitStatus | None = None  # the reason why the watchdog killed it
        self._ended = threading.Event()
        self._on_end = on_end
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The leader's process id."""
        return self._process.pid

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises SessionEnded."""
        rest = memoryview(line.encode("utf-8", "surrogateescape") + b"\n")
        try:
            while rest:
                rest = rest[self._input.write(rest) :]
        except (BrokenPipeError, ValueError) as error:  # ValueError: stop() has closed it
            raise self._session_ended() from error

    def receive(self, timeout_s: float) -> str | None:
        """Return the next line of its standard output, or None. Raises SessionEnded."""
        line = self._lines.read(timeout_s)
        if line is None and self._lines.at_end:
            raise self._session_ended()
        return line

    def busy_s(self) -> float:
        """Return the processor seconds of its process tree."""
        self._busy_s = max(self._busy_s, self._tree.busy_s())
        return self._busy_s

    def memory_mb(self) -> float:
        """Return the resident memory of its process tree, in megabytes."""
        return self._tree.memory_mb()

    def deliver(self, path: Path) -> None:
        """Exclude files that the worker has put into the scratch from its limit."""
        if path.is_relative_to(self._limits.scratch):  # the file is there already
            self._delivered_bytes += directory_bytes(path, sys.maxsize)

    def fetch(self, path: Path) -> None:
        """Nothing to do: the session writes to this disk."""

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        """Terminate the group if `grace_s` is given, then kill the whole process tree."""
        if grace_s > 0 and self._terminate():
            has_ended(self._process.pid, grace_s)
        with self._end_lock:
            if self._status is None:
                self._kill_tree()
            return self._exit_status()

    def _terminate(self) -> bool:
        """Send SIGTERM to the group; return whether it was running."""
        with self._end_lock:
            if self._status is not None or has_ended(self._process.pid, 0.0):
                return False
            self._stop_requested = True
            os.killpg(self._process.pid, signal.SIGTERM)
            return True

    def _kill_tree(self) -> None:
        """Kill what is left. The leader is reaped last, so that its process id is not reused before."""
        self._stop_requested = self._stop_requested or not has_ended(self._process.pid, 0.0)
        self._tree.kill()
        self._status = self._exit_status()
        self._ended.set()
        if has_ended(self._process.pid, _KILL_TIMEOUT_S):
            self._process.wait()
        self._lines.close()
        self._input.close()
        self._output.close()
        self._on_end()

    def _session_ended(self) -> SessionEnded:
        # The pipe of a dying process breaks shortly before its exit.
        if self._status is None and not has_ended(self._process.pid, _EXIT_TIMEOUT_S):
            return SessionEnded("It closed its standard input.")
        return SessionEnded(f"It ended: {self._exit_status()}.")

    def _exit_status(self) -> ExitStatus:
        with self._end_lock:
            return self._status or self._violation or self._wait_status()

    def _watch(self) -> None:
        """Kill the session when it violates a limit."""
        interval_s, free_at_start_mb = _CHECK_INTERVAL_S, free_mb(self._limits.scratch)
        while not self._ended.wait(interval_s) and not has_ended(self._process.pid, 0.0):
            started = time.monotonic()
            violation = self._limits.violation(self._tree, self._delivered_bytes, free_at_start_mb)
            if violation is not None:
                self._kill_for(violation)
                return
            interval_s = max(_CHECK_INTERVAL_S, _CHECK_COST_FACTOR * (time.monotonic() - started))

    def _kill_for(self, violation: ExitStatus) -> None:
        with self._end_lock:
            if self._status is not None:
                return
            self._violation, self._stop_requested = violation, True
        self._tree.kill()

    def _wait_status(self) -> ExitStatus:
        result = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return ExitStatus(code=None, signal=signal.SIGKILL, detail="it did not end after SIGKILL")
        if result.si_code == os.CLD_EXITED:
            return ExitStatus(code=result.si_status)
        if result.si_status == signal.SIGKILL and not self._stop_requested and oom_kills() != self._oom_kills:
            return ExitStatus(None, signal.SIGKILL, out_of_memory=True, detail="the kernel killed it: out of memory")
        return ExitStatus(code=None, signal=result.si_status)
