"""A sandbox around a session that looks at a stranger's scene on this machine: `python sandbox.py SPEC -- PROGRAM …`.

Runs as a script of its own, before Blender does: what it gives up is given up for every thread and child. Linux 5.13
and newer shut the disk (Landlock), 6.7 the network; elsewhere the limits alone hold. A container needs none of this.
"""

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  #: system calls, the same on every processor
_VERSION, _BENEATH, _NO_NEW_PRIVILEGES = 1, 1, 38
#: Rights: run and read files, list folders; of a file itself only some can be had.
_READ, _OF_FILES = 0b1101, 0b1100_0000_0000_0111
#: Rights that the kernel knows, by the version of its Landlock; the last one holds for all later ones.
_RIGHTS = (13, 14, 15, 15, 16)
#: What every program reads. Of /proc only what is its own.
SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system"),
    *("/dev/urandom", "/dev/zero", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/kernel"),
)


@dataclass(frozen=True)
class Sandbox:
    """What a program is left with."""

    reads: tuple[str, ...]  #: folders and files
    writes: tuple[str, ...]
    memory_mb: int  #: of its own, without what it maps of files
    file_mb: int  #: of one file that it writes

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The command that runs `argv` within it."""
        return (sys.executable, "-I", "-S", __file__, json.dumps(asdict(self)), "--", *argv)


def program_folders(program: str) -> tuple[str, ...]:
    """Where the files of a program lie that came in a folder of its own: a Blender, or a Python and its packages."""
    links = _links(Path(program))
    prefixes = [each.parent.parent for each in links if each.parent.name == "bin"]
    pythons = [each for each in prefixes if (each / "pyvenv.cfg").is_file() or any(each.glob("lib/python3*"))]
    return tuple(dict.fromkeys(str(each) for each in (*pythons, links[-1].parent)))


def _links(path: Path) -> list[Path]:
    """A path and, of a link, all that it leads over."""
    found = [path.absolute()]
    while found[-1].is_symlink() and len(found) < 40:
        found.append(Path(os.path.normpath(found[-1].parent / found[-1].readlink())))
    return [*found, path.resolve()]


def apply(sandbox: Sandbox) -> bool:
    """Put it around this process; whether the disk is shut."""
    memory, size = sandbox.memory_mb << 20, sandbox.file_mb << 20
    for limit, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION))
    if version < 1:
        return False
    every = (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1
    shut = struct.pack("QQQ", every, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    shut = shut[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = int(libc.syscall(_CREATE, shut, ctypes.c_size_t(len(shut)), 0))
    _open(libc, ruleset, (*SYSTEM, *sandbox.reads), _READ)
    _open(libc, ruleset, (*sandbox.writes, "/dev/null"), every)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return int(libc.syscall(_RESTRICT, ruleset, 0)) == 0


def _open(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # what is not there needs no door
            continue
        allowed = rights if Path(path).is_dir() else rights & _OF_FILES
        rule = struct.pack("=Qi", allowed, place)
        if libc.syscall(_ADD, ruleset, _BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "the disk can not be shut", path)
        os.close(place)


def main() -> None:
    sandbox, program = Sandbox(**json.loads(sys.argv[1])), sys.argv[3:]
    if not apply(sandbox):
        print("This kernel has no Landlock: the disk is not shut.", file=sys.stderr, flush=True)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
