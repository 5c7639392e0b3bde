"""A sandbox around a program of this machine: it reads and writes what it is given, and reaches no network.

Linux 5.13 and newer shut files (Landlock), 6.7 TCP, 6.12 signals and abstract sockets. The rest of the network, and
what would lead around all this, is filtered (seccomp). On other systems the limits alone hold.
"""

import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from renderctl.executors import apply_sandbox
from renderctl.executors.sandbox_paths import SYSTEM, OffLimits
from renderctl.executors.system_calls import call_filter

__all__ = ["OffLimits", "Sandbox", "landlock_version"]


@cache
def landlock_version() -> int:
    """Of this kernel's Landlock; 0: it has none, and a sandbox shuts neither files nor the network."""
    return apply_sandbox.landlock_version()


@dataclass(frozen=True)
class Sandbox:
    """What a program is left with, beside what every program reads."""

    reads: tuple[str, ...] = ()  #: folders and files, to read and to run
    writes: tuple[str, ...] = ()  #: folders and files, to read and write
    memory_mb: int | None = None  #: of its own, without what it maps of files; None: no limit
    file_mb: int | None = None  #: of one file that it writes; None: no limit
    devices: tuple[str, ...] = ()
    off_limits: OffLimits = field(default_factory=OffLimits)

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The command that runs `argv` within it; `argv[0]` is a path. Raises SandboxTooWide."""
        options: list[str] = []
        reads = (*self.off_limits.around(SYSTEM), *self.off_limits.require(self.reads))
        for option, paths in (("--read", reads), ("--write", (*self.off_limits.require(self.writes), "/dev/null"))):
            options += [each for path in paths for each in (option, path)]
        options += [each for path in self.devices for each in ("--device", path)]
        for option, most_mb in (("--memory-mb", self.memory_mb), ("--file-mb", self.file_mb)):
            options += [option, str(most_mb)] if most_mb else []
        if calls := call_filter():
            options += ["--filter", calls.hex()]
        return (sys.executable, "-I", "-S", str(Path(apply_sandbox.__file__)), *options, "--", *argv)
