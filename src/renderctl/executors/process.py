"""Sessions as processes of this machine."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from renderctl.errors import BlenderMissing, SessionEnded, Unreachable
from renderctl.executors import Executor, ExitStatus, Launch, Running
from renderctl.executors.environments import driver_caches_in, session_environment
from renderctl.executors.lines import OutputLines
from renderctl.executors.oom import offer_first, oom_kills
from renderctl.executors.sandbox import OffLimits, Sandbox, landlock_version
from renderctl.executors.sandbox_paths import gpu_devices, gpu_reads, named_by_environment, program_paths
from renderctl.executors.trees import ProcessTree, ended

_UNKILLABLE_S = 10.0
_DYING_S = 1.0
#: Megabytes that a session which only looks at a scene may write to one file.
_LOOKING_FILE_MB = 1024
#: How the file of a program begins: of Linux, a script, of macOS (of one processor, of several).
_PROGRAMS = (b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
#: The version of Landlock from which on it shuts TCP.
_SHUTS_TCP = 4


@dataclass(frozen=True)
class SandboxOptions:
    """How wide the sandboxes of sessions are."""

    off_limits: OffLimits = field(default_factory=OffLimits)
    reads: tuple[str, ...] = ()  #: more of this machine that every session may read
    writes: tuple[str, ...] = ()  #: and write
    memory_mb: int | None = None  #: None: no limit
    file_mb: int | None = None  #: of one file; None: no limit


class ProcessExecutor(Executor):
    """Starts each session in a process group of its own, in a sandbox, with a minimal environment.

    A session that asks Linux to die with its parent dies with the thread that started it: keep that thread.
    """

    def __init__(
        self,
        driver_caches: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        sandbox: SandboxOptions | None = None,
    ) -> None:
        self._driver_caches = driver_caches or user_cache_path("renderctl") / "drivers"
        self._environment = environment
        self._sandbox = sandbox or SandboxOptions()

    @property
    def sandboxed(self) -> bool:  # type: ignore[override]
        return landlock_version() > 0

    def may_read(self, path: Path) -> bool:
        return not self.sandboxed or self._sandbox.off_limits.refusal(path) is None

    def start(self, launch: Launch) -> Running:
        try:
            minimal = session_environment(self._environment, launch.scratch, self._driver_caches)
            environment = {**minimal, **launch.environment}
            launch.log.parent.mkdir(parents=True, exist_ok=True)
            with launch.log.open("ab") as log:
                argv = self._in_sandbox(launch, environment).wrap(launch.argv)
                process = _popen(argv, launch, environment, log.fileno())
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} can not be started: {error}.") from error
        offer_first(process.pid)
        tree = ProcessTree(process.pid, ("TMPDIR", environment["TMPDIR"]))
        return RunningProcess(process, tree)

    def check(self) -> str:
        held = f", in a sandbox (Landlock {landlock_version()})" if self.sandboxed else ""
        return f"processes of this machine, {os.cpu_count()} cores{held}"

    def advice(self) -> Iterable[str]:
        if not self.sandboxed:
            yield (
                "This kernel has no Landlock (Linux 5.13 or newer, switched on): a scene can read and write whatever "
                "you can. Render nobody's but your own, or use containers (executor.kind: docker)."
            )
        elif landlock_version() < _SHUTS_TCP:
            yield "This kernel's Landlock does not shut the network to scenes: Linux 6.7 and newer do."

    def close(self) -> None:
        """There is nothing to let go of."""

    def _in_sandbox(self, launch: Launch, environment: Mapping[str, str]) -> Sandbox:
        """What the session is left with. Raises FileNotFoundError, OSError, SandboxTooWide."""
        _require_program(launch.argv[0])
        options, caches = self._sandbox, driver_caches_in(environment)
        reads = (*map(str, launch.inputs), *program_paths(launch.argv[0]), *options.reads)
        named = (path for path in named_by_environment(environment) if options.off_limits.refusal(path) is None)
        writes = (str(launch.scratch), *options.writes)
        if not self.sandboxed:  # the limits alone hold
            return Sandbox(memory_mb=launch.sandbox_mb or options.memory_mb, file_mb=options.file_mb)
        if launch.sandbox_mb is not None:
            return Sandbox((*reads, *named), writes, launch.sandbox_mb, _LOOKING_FILE_MB, (), options.off_limits)
        return Sandbox(
            (*reads, *named, *gpu_reads()),
            (*writes, *(path for path in caches if options.off_limits.refusal(path) is None)),
            options.memory_mb,
            options.file_mb,
            gpu_devices(),
            options.off_limits,
        )


def _popen(
    argv: tuple[str, ...], launch: Launch, environment: Mapping[str, str], log: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        cwd=launch.scratch,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        start_new_session=True,
    )


def _require_program(program: str) -> None:
    """Say at once what would be found out only in the sandbox. Raises BlenderMissing, OSError."""
    if not Path(program).is_file():
        raise BlenderMissing(f"There is no program {program}.")
    if not os.access(program, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    with Path(program).open("rb") as file:
        if not file.read(4).startswith(_PROGRAMS):
            raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), program)


class RunningProcess(Running):
    """A process that leads a group. One thread talks to it; any thread may stop it."""

    def __init__(self, process: "subprocess.Popen[bytes]", tree: ProcessTree) -> None:
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
        """It sees what we see."""

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
        if ended(self._process.pid, _UNKILLABLE_S):
            self._process.wait()
        self._lines.close()
        self._input.close()
        self._output.close()

    def _session_ended(self) -> SessionEnded:
        # The pipe of a process that dies breaks a moment before it is dead.
        if self._status is None and not ended(self._process.pid, _DYING_S):
            return SessionEnded("It listens no more.")
        return SessionEnded(f"It ended: {self._exit_status()}.")

    def _exit_status(self) -> ExitStatus:
        with self._ending:
            return self._status or self._look_at_exit()

    def _look_at_exit(self) -> ExitStatus:
        seen = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return ExitStatus(code=None, signal=signal.SIGKILL, detail="it does not end although it was killed")
        if seen.si_code == os.CLD_EXITED:
            return ExitStatus(code=seen.si_status)
        if seen.si_status == signal.SIGKILL and not self._stopped_by_us and oom_kills() != self._oom_kills:
            return ExitStatus(None, signal.SIGKILL, out_of_memory=True, detail="the kernel killed it: out of memory")
        return ExitStatus(code=None, signal=seen.si_status)
