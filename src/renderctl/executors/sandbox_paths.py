"""What a sandbox may open: a short list, and what is never on it.

Nobody but this module says which folders of this machine a session sees beside its own.
"""

import os
import pwd
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from renderctl.core.errors import SandboxTooWide

#: What every program reads: libraries, fonts, time zones. Of /proc only what is its own.
SYSTEM = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/run/opengl-driver"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/fonts", "/etc/ssl/openssl.cnf"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/sys/kernel/osrelease"),
    *("/proc/sys/vm/overcommit_memory", "/sys/devices/system"),
)
#: What drivers of GPUs read, those that draw in software included.
_GPU_READS = (
    *("/etc/glvnd", "/etc/drirc", "/etc/egl", "/etc/vulkan", "/etc/OpenCL", "/etc/nvidia", "/etc/amd"),
    *("/opt/rocm*", "/opt/intel", "/opt/amdgpu*", "/opt/nvidia"),
    *("/proc/driver/nvidia*", "/proc/modules", "/proc/devices", "/proc/sys/vm/max_map_count"),
    *("/sys/dev/char", "/sys/bus/pci", "/sys/devices/pci*", "/sys/devices/virtual/kfd", "/sys/class/drm"),
    *("/sys/class/kfd", "/sys/module/nvidia*", "/sys/module/amdgpu", "/sys/module/i915", "/sys/module/xe"),
)
_GPU_DEVICES = ("/dev/dri", "/dev/nvidia*", "/dev/kfd", "/dev/dxg")
#: Variables that name folders with libraries, or a file beside which others lie.
_FOLDERS, _FILES = ("LD_LIBRARY_PATH",), ("OCIO",)
_ALL_HOMES = ("/home", "/root", "/Users")


@dataclass(frozen=True)
class OffLimits:
    """What no sandbox opens: neither itself, nor what lies in it, nor a folder that holds it.

    Home directories are off limits in any case, but what lies in one is not.
    """

    data_dir: Path | None = None
    scratch_root: Path | None = None  #: in data_dir; the folders in its folders are sessions' own
    secrets: tuple[Path, ...] = ()  #: files, and folders

    def refusal(self, path: str | Path) -> str | None:
        """Why a sandbox may not open `path`; None: it may."""
        return self._refusal(path, self._private(), _homes())

    def require(self, paths: Iterable[str | Path]) -> tuple[str, ...]:
        """The same paths. Raises SandboxTooWide."""
        texts, private, homes = tuple(map(str, paths)), self._private(), _homes()
        for text in texts:
            if reason := self._refusal(text, private, homes):
                hint = "What sessions need, Blender among it, lies in folders of its own."
                raise SandboxTooWide(f"No session may be given {text}: {reason}.", hint=hint)
        return texts

    def around(self, paths: Iterable[str]) -> Iterator[str]:
        """System folders; in place of one that holds what is off limits, what else is in it."""
        private, homes = self._private(), _homes()
        for path in paths:
            if self._refusal(path, private, homes) is None:
                yield path
            elif any(off.is_relative_to(os.path.realpath(path)) for off in (*private, *homes)):
                with suppress(OSError):
                    yield from self.around(entry.path for entry in os.scandir(path))

    def _refusal(self, path: str | Path, private: tuple[Path, ...], homes: tuple[Path, ...]) -> str | None:
        real = Path(os.path.realpath(path))
        for off in private:
            if real.is_relative_to(off) and not self._is_scratch(real):
                return f"it lies in {off}"
        for off in (*private, *homes):
            if off.is_relative_to(real):
                return f"it holds {off}" if off != real else "it is a home directory"
        return None

    def _private(self) -> tuple[Path, ...]:
        return tuple(Path(os.path.realpath(path)) for path in (self.data_dir, *self.secrets) if path is not None)

    def _is_scratch(self, real: Path) -> bool:
        if self.scratch_root is None:
            return False
        root = Path(os.path.realpath(self.scratch_root))
        return real.is_relative_to(root) and len(real.relative_to(root).parts) >= 2


def _homes() -> tuple[Path, ...]:
    """Where people's own files are, as far as this user can know."""
    named = filter(None, (os.environ.get("HOME"), _home_of(os.getuid())))
    return (*map(Path, _ALL_HOMES), *(Path(os.path.realpath(home)) for home in named))


@cache
def _home_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:  # a container's user without a name
        return None


def gpu_reads() -> tuple[str, ...]:
    """What there is here of what drivers read."""
    return tuple(path for pattern in _GPU_READS for path in _matching(pattern))


def gpu_devices() -> tuple[str, ...]:
    """The GPUs of this machine."""
    return tuple(path for pattern in _GPU_DEVICES for path in _matching(pattern))


def _matching(pattern: str) -> Iterator[str]:
    return map(str, Path("/").glob(pattern[1:]))


def named_by_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Folders that the variables of a session name."""
    for name in _FOLDERS:
        yield from (folder for folder in environment.get(name, "").split(":") if folder.startswith("/"))
    for name in _FILES:
        if environment.get(name, "").startswith("/"):
            yield str(Path(environment[name]).parent)


def program_paths(program: str) -> tuple[str, ...]:
    """What a program is made of: a Python with its library and packages, a Blender with its folder, or it alone."""
    path = Path(program).absolute()
    real = path.resolve()
    if re.match(r"python[\d.]*$", path.name):
        return tuple(dict.fromkeys(map(str, _of_python(path, real))))
    interpreter = _interpreter(real)
    of_script = program_paths(interpreter) if interpreter else ()
    return (str(real), *([str(real.parent)] if _has_folder(real) else []), *of_script)


def _interpreter(script: Path) -> str | None:
    """What runs a program that is a script; None: it is none."""
    with suppress(OSError), script.open("rb") as file:
        words = file.readline(256).decode(errors="replace").removeprefix("#!").split()
        file.seek(0)
        if file.read(2) == b"#!" and words and words[0] != str(script):
            return words[0]
    return None


def _has_folder(blender: Path) -> bool:
    """Whether a program lies among its own files, as an unpacked Blender does: its data are in a folder 5.0, say."""
    return any(re.fullmatch(r"\d+\.\d+", entry.name) for entry in blender.parent.glob("*.*"))


def _of_python(path: Path, real: Path) -> Iterator[Path]:
    """Its prefixes are never opened: /bin/python3 has `/`, and ~/.local/bin/python3 has ~/.local."""
    yield real
    prefixes = [real.parent.parent]
    for folder in (path.parent, path.parent.parent):
        config = folder / "pyvenv.cfg"
        if config.is_file():
            yield config
            prefixes += [folder, *_base_prefix(config)]
    for prefix in prefixes:
        for name in ("lib", "lib64"):
            yield from prefix.glob(f"{name}/libpython3*")
            yield from prefix.glob(f"{name}/python3*")
        if (prefix / "conda-meta").is_dir():  # its libraries lie beside one another
            yield prefix / "lib"


def _base_prefix(config: Path) -> Iterator[Path]:
    """The Python that a virtual environment was made by."""
    with suppress(OSError, UnicodeDecodeError):
        match = re.search(r"^home\s*=\s*(.+?)\s*$", config.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            yield Path(match[1]).parent
