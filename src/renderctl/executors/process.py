"""Runs sessions as processes of this machine."""

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
from renderctl.executors.oom import prefer_for_oom_kill
from renderctl.executors.running_process import LocalSessionProcess, SessionLimits
from renderctl.executors.sandbox import ForbiddenPaths, Sandbox, landlock_version
from renderctl.executors.sandbox_paths import gpu_devices, gpu_reads, paths_in_environment, program_paths
from renderctl.executors.system_calls import call_filter

#: Megabytes of one file that a session which only inspects a scene may write.
_INSPECTION_FILE_MB = 1024
#: First bytes of executables: ELF, script, Mach-O (one or several architectures).
_EXECUTABLE_MAGIC = (b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
#: The first version of Landlock that restricts TCP.
_BLOCKS_TCP = 4


@dataclass(frozen=True)
class SandboxOptions:
    """Paths and limits of all sessions' sandboxes."""

    forbidden: ForbiddenPaths = field(default_factory=ForbiddenPaths)
    reads: tuple[str, ...] = ()  #: further paths that every session may read
    writes: tuple[str, ...] = ()  #: and that it may write
    memory_mb: int | None = None  #: None: unlimited
    scratch_mb: int | None = None  #: files below its scratch; None: unlimited
    processes: int | None = None  #: None: unlimited
    driver_caches_mb: int = 2048  #: limit of each driver cache; a larger one is emptied


class ProcessExecutor(Executor):
    """Starts each session in its own process group, in a sandbox, with a minimal environment.

    Linux ends a session with the thread that started it (PR_SET_PDEATHSIG): keep that thread alive.
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
        self._caches_checked = False  # at the caches of drivers

    @property
    def sandboxed(self) -> bool:  # type: ignore[override]
        """Whether this kernel has Landlock."""
        return landlock_version() > 0

    def may_read(self, path: Path) -> bool:
        """Return whether the path is not forbidden to sandboxes."""
        return not self.sandboxed or self._sandbox.forbidden.refusal(path) is None

    def start(self, launch: LaunchSpec) -> SessionProcess:
        """Start a process in its sandbox. Raises BlenderMissing, Unreachable, SandboxTooWide."""
        try:
            base_environment = session_environment(self._environment, launch.scratch, self._driver_caches)
            environment = {**base_environment, **launch.environment}
            launch.log.parent.mkdir(parents=True, exist_ok=True)
            with launch.log.open("ab") as log:
                argv = self._sandbox_for(launch, environment).wrap(launch.argv)
                process = spawn(argv, launch, environment, log.fileno())
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} cannot be started: {error}.") from error
        from renderctl.executors.process_tree import ProcessTree  # imported while the program starts

        prefer_for_oom_kill(process.pid)
        if not self._caches_checked:  # a killed worker may have left large ones
            self._caches_checked = True
            self._trim_driver_caches()
        tree = ProcessTree(process.pid, ("TMPDIR", environment["TMPDIR"]))
        limits = SessionLimits(launch.scratch, self._sandbox.scratch_mb, self._sandbox.processes)
        if launch.sandbox_mb is not None:  # it has no access to the caches
            return LocalSessionProcess(process, tree, limits)
        return LocalSessionProcess(process, tree, limits, self._trim_driver_caches)

    def check(self) -> str:
        """Return the number of cores and the kind of sandbox."""
        described = f", in a sandbox (Landlock {landlock_version()})" if self.sandboxed else ""
        return f"processes of this machine, {os.cpu_count()} cores{described}"

    def advice(self) -> Iterable[str]:
        """Return what this kernel's sandbox lacks."""
        if not self.sandboxed:
            yield (
                "This kernel has no Landlock (Linux 5.13 or newer, enabled): a scene can read and write whatever "
                "you can. Render only your own scenes, or use containers (executor.kind: docker)."
            )
        elif landlock_version() < _BLOCKS_TCP and not call_filter():
            yield "This kernel's Landlock does not restrict the network: Linux 6.7 and newer do."

    def close(self) -> None:
        """Nothing to release."""

    def _trim_driver_caches(self) -> None:
        """Empty large driver caches: sessions share them, and a scene's scripts could fill the disk."""
        for cache in self._driver_caches.glob("*"):
            if cache.is_dir() and not cache.is_symlink():
                empty_if_larger(cache, self._sandbox.driver_caches_mb << 20)

    def _sandbox_for(self, launch: LaunchSpec, environment: Mapping[str, str]) -> Sandbox:
        """Return the sandbox of a session. Raises BlenderMissing, OSError, SandboxTooWide."""
        _require_program(launch.argv[0])
        options, driver_caches = self._sandbox, driver_caches_in(environment)
        reads = (*map(str, launch.inputs), *program_paths(launch.argv[0]), *options.reads)
        named_paths = (path for path in paths_in_environment(environment) if options.forbidden.refusal(path) is None)
        writes = (str(launch.scratch), *options.writes)
        if not self.sandboxed:  # only limits apply
            return Sandbox(memory_mb=launch.sandbox_mb or options.memory_mb, file_mb=options.scratch_mb)
        if launch.sandbox_mb is not None:
            return Sandbox(
                (*reads, *named_paths), writes, launch.sandbox_mb, _INSPECTION_FILE_MB, (), options.forbidden
            )
        return Sandbox(
            (*reads, *named_paths, *gpu_reads()),
            (*writes, *(path for path in driver_caches if options.forbidden.refusal(path) is None)),
            options.memory_mb,
            options.scratch_mb,
            gpu_devices(),
            options.forbidden,
        )


def spawn(
    argv: tuple[str, ...], launch: LaunchSpec, environment: Mapping[str, str], log: int
) -> "subprocess.Popen[bytes]":
    """Start the program in a new session (setsid), with pipes for its standard streams. Raises OSError."""
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
    """Check the program before the sandbox would fail to execute it. Raises BlenderMissing, OSError."""
    if not Path(program).is_file():
        raise BlenderMissing(f"There is no program {program}.")
    if not os.access(program, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    with Path(program).open("rb") as file:
        if not file.read(4).startswith(_EXECUTABLE_MAGIC):
            raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), program)
