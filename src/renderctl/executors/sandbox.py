"""The sandbox of a local session: it can access only given paths, and no network.

Landlock restricts files (Linux 5.13 and newer), TCP (6.7), signals and abstract sockets (6.12). A seccomp filter blocks
the rest of the network and ways around Landlock. On other systems only resource limits apply.
"""

import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from renderctl.executors import apply_sandbox
from renderctl.executors.sandbox_paths import SYSTEM_PATHS, ForbiddenPaths
from renderctl.executors.system_calls import call_filter

__all__ = ["ForbiddenPaths", "Sandbox", "landlock_version"]


@cache
def landlock_version() -> int:
    """Return the Landlock version of this kernel; 0 if it has none, so that files and network are not restricted."""
    return apply_sandbox.landlock_version()


@dataclass(frozen=True)
class Sandbox:
    """The paths and limits of a program, in addition to SYSTEM_PATHS."""

    reads: tuple[str, ...] = ()  #: folders and files to read and execute
    writes: tuple[str, ...] = ()  #: folders and files to read and write
    memory_mb: int | None = None  #: private memory (RLIMIT_DATA); None: unlimited
    file_mb: int | None = None  #: size of one file that it writes; None: unlimited
    devices: tuple[str, ...] = ()
    forbidden: ForbiddenPaths = field(default_factory=ForbiddenPaths)

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs `argv` in the sandbox; `argv[0]` must be a path. Raises SandboxTooWide."""
        options: list[str] = []
        reads = (*self.forbidden.expand_allowed(SYSTEM_PATHS), *self.forbidden.require(self.reads))
        for option, paths in (("--read", reads), ("--write", (*self.forbidden.require(self.writes), "/dev/null"))):
            options += [word for path in paths for word in (option, path)]
        options += [word for path in self.devices for word in ("--device", path)]
        for option, most_mb in (("--memory-mb", self.memory_mb), ("--file-mb", self.file_mb)):
            options += [option, str(most_mb)] if most_mb else []
        if calls := call_filter():
            options += ["--filter", calls.hex()]
        return (sys.executable, "-I", "-S", str(Path(apply_sandbox.__file__)), *options, "--", *argv)
