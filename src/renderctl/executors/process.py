"""Sessions as processes of this machine."""

import errno
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from renderctl.core.errors import BlenderMissing, Unreachable
from renderctl.executors import Executor, LaunchSpec, SessionProcess
from renderctl.executors.disk_usage import empty_if_larger
from renderctl.executors.environment import driver_caches_in, session_environment
from renderctl.executors.oom import offer_first
from renderctl.executors.running_process import RunningProcess, SessionLimits
from renderctl.executors.sandbox import OffLimits, Sandbox, landlock_version
from renderctl.executors.sandbox_paths import gpu_devices, gpu_reads, named_by_environment, program_paths
from renderctl.executors.system_calls import call_filter

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
    scratch_mb: int | None = None  #: of files below its scratch; None: no limit
    processes: int | None = None  #: None: no limit
    driver_caches_mb: int = 2048  #: that each of our drivers' caches may come to; a larger one begins anew


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
        self._has_looked = False  # at the caches of drivers

    @property
    def sandboxed(self) -> bool:  # type: ignore[override]
        return landlock_version() > 0

    def may_read(self, path: Path) -> bool:
        return not self.sandboxed or self._sandbox.off_limits.refusal(path) is None

    def start(self, launch: LaunchSpec) -> SessionProcess:
        try:
            minimal = session_environment(self._environment, launch.scratch, self._driver_caches)
            environment = {**minimal, **launch.environment}
            launch.log.parent.mkdir(parents=True, exist_ok=True)
            with launch.log.open("ab") as log:
                argv = self._in_sandbox(launch, environment).wrap(launch.argv)
                process = spawn(argv, launch, environment, log.fileno())
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} can not be started: {error}.") from error
        from renderctl.executors.process_tree import ProcessTree  # while the program starts

        offer_first(process.pid)
        if not self._has_looked:  # what a worker that was killed has left
            self._has_looked = True
            self._empty_large_caches()
        tree = ProcessTree(process.pid, ("TMPDIR", environment["TMPDIR"]))
        limits = SessionLimits(launch.scratch, self._sandbox.scratch_mb, self._sandbox.processes)
        if launch.sandbox_mb is not None:  # it sees no caches
            return RunningProcess(process, tree, limits)
        return RunningProcess(process, tree, limits, self._empty_large_caches)

    def check(self) -> str:
        held = f", in a sandbox (Landlock {landlock_version()})" if self.sandboxed else ""
        return f"processes of this machine, {os.cpu_count()} cores{held}"

    def advice(self) -> Iterable[str]:
        if not self.sandboxed:
            yield (
                "This kernel has no Landlock (Linux 5.13 or newer, switched on): a scene can read and write whatever "
                "you can. Render nobody's but your own, or use containers (executor.kind: docker)."
            )
        elif landlock_version() < _SHUTS_TCP and not call_filter():
            yield "This kernel's Landlock does not shut the network to scenes: Linux 6.7 and newer do."

    def close(self) -> None:
        """There is nothing to let go of."""

    def _empty_large_caches(self) -> None:
        """Sessions share them and write what they like there: a scene's scripts could fill the disk for good."""
        for cache in self._driver_caches.glob("*"):
            if cache.is_dir() and not cache.is_symlink():
                empty_if_larger(cache, self._sandbox.driver_caches_mb << 20)

    def _in_sandbox(self, launch: LaunchSpec, environment: Mapping[str, str]) -> Sandbox:
        """What the session is left with. Raises FileNotFoundError, OSError, SandboxTooWide."""
        _require_program(launch.argv[0])
        options, caches = self._sandbox, driver_caches_in(environment)
        reads = (*map(str, launch.inputs), *program_paths(launch.argv[0]), *options.reads)
        named = (path for path in named_by_environment(environment) if options.off_limits.refusal(path) is None)
        writes = (str(launch.scratch), *options.writes)
        if not self.sandboxed:  # the limits alone hold
            return Sandbox(memory_mb=launch.sandbox_mb or options.memory_mb, file_mb=options.scratch_mb)
        if launch.sandbox_mb is not None:
            return Sandbox((*reads, *named), writes, launch.sandbox_mb, _LOOKING_FILE_MB, (), options.off_limits)
        return Sandbox(
            (*reads, *named, *gpu_reads()),
            (*writes, *(path for path in caches if options.off_limits.refusal(path) is None)),
            options.memory_mb,
            options.scratch_mb,
            gpu_devices(),
            options.off_limits,
        )


def spawn(
    argv: tuple[str, ...], launch: LaunchSpec, environment: Mapping[str, str], log: int
) -> "subprocess.Popen[bytes]":
    """Start the program in a session of its own, with pipes for what is said. Raises OSError."""
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
