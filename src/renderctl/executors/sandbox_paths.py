"""The paths that a sandbox may access, and those that are always forbidden.

Only this module decides which folders of this machine a session can access beside its own.
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

#: Paths that every program may read: libraries, fonts, time zones, its own part of /proc.
SYSTEM_PATHS = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/run/opengl-driver"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/fonts", "/etc/ssl/openssl.cnf"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/sys/kernel/osrelease"),
    *("/proc/sys/vm/overcommit_memory", "/sys/devices/system"),
)
#: Paths that GPU drivers read, software renderers included.
_GPU_READS = (
    *("/etc/glvnd", "/etc/drirc", "/etc/egl", "/etc/vulkan", "/etc/OpenCL", "/etc/nvidia", "/etc/amd"),
    *("/opt/rocm*", "/opt/intel", "/opt/amdgpu*", "/opt/nvidia"),
    *("/proc/driver/nvidia*", "/proc/modules", "/proc/devices", "/proc/sys/vm/max_map_count"),
    *("/sys/dev/char", "/sys/bus/pci", "/sys/devices/pci*", "/sys/devices/virtual/kfd", "/sys/class/drm"),
    *("/sys/class/kfd", "/sys/module/nvidia*", "/sys/module/amdgpu", "/sys/module/i915", "/sys/module/xe"),
)
_GPU_DEVICES = ("/dev/dri", "/dev/nvidia*", "/dev/kfd", "/dev/dxg")
#: Variables that list library folders, or name a file whose folder is needed.
_FOLDERS, _FILES = ("LD_LIBRARY_PATH",), ("OCIO",)
_ALL_HOMES = ("/home", "/root", "/Users")


@dataclass(frozen=True)
class ForbiddenPaths:
    """Paths that no sandbox may access: neither they, nor their content, nor folders that contain them.

    Home directories themselves are always forbidden; folders inside them are not.
    """

    data_dir: Path | None = None
    scratch_root: Path | None = None  #: in data_dir; its second-level folders belong to sessions
    secrets: tuple[Path, ...] = ()  #: files and folders

    def refusal(self, path: str | Path) -> str | None:
        """Return why a sandbox may not access `path`, or None if it may."""
        return self._refusal(path, self._private_paths(), _home_directories())

    def require(self, paths: Iterable[str | Path]) -> tuple[str, ...]:
        """Return the paths as texts if all are allowed. Raises SandboxTooWide."""
        texts, private_paths, home_folders = tuple(map(str, paths)), self._private_paths(), _home_directories()
        for text in texts:
            if reason := self._refusal(text, private_paths, home_folders):
                hint = "Put what sessions need, such as Blender, into a separate folder."
                raise SandboxTooWide(f"No session may access {text}: {reason}.", hint=hint)
        return texts

    def expand_allowed(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield the paths; a folder that contains a forbidden one is replaced by its allowed entries."""
        private_paths, home_folders = self._private_paths(), _home_directories()
        for path in paths:
            if self._refusal(path, private_paths, home_folders) is None:
                yield path
            elif any(forbidden.is_relative_to(os.path.realpath(path)) for forbidden in (*private_paths, *home_folders)):
                with suppress(OSError):
                    yield from self.expand_allowed(entry.path for entry in os.scandir(path))

    def _refusal(self, path: str | Path, private_paths: tuple[Path, ...], home_folders: tuple[Path, ...]) -> str | None:
        resolved = Path(os.path.realpath(path))
        for forbidden in private_paths:
            if resolved.is_relative_to(forbidden) and not self._is_scratch(resolved):
                return f"it lies in {forbidden}"
        for forbidden in (*private_paths, *home_folders):
            if forbidden.is_relative_to(resolved):
                return f"it holds {forbidden}" if forbidden != resolved else "it is a home directory"
        return None

    def _private_paths(self) -> tuple[Path, ...]:
        return tuple(Path(os.path.realpath(path)) for path in (self.data_dir, *self.secrets) if path is not None)

    def _is_scratch(self, resolved: Path) -> bool:
        if self.scratch_root is None:
            return False
        root = Path(os.path.realpath(self.scratch_root))
        return resolved.is_relative_to(root) and len(resolved.relative_to(root).parts) >= 2


def _home_directories() -> tuple[Path, ...]:
    """Return the home directories that this user knows of."""
    named = filter(None, (os.environ.get("HOME"), _home_of(os.getuid())))
    return (*map(Path, _ALL_HOMES), *(Path(os.path.realpath(home)) for home in named))


@cache
def _home_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:  # a container's user without a passwd entry
        return None


def gpu_reads() -> tuple[str, ...]:
    """Return the existing paths that GPU drivers read."""
    return tuple(path for pattern in _GPU_READS for path in _glob(pattern))


def gpu_devices() -> tuple[str, ...]:
    """Return the GPU devices of this machine."""
    return tuple(path for pattern in _GPU_DEVICES for path in _glob(pattern))


def _glob(pattern: str) -> Iterator[str]:
    return map(str, Path("/").glob(pattern[1:]))


def paths_in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the folders that the environment names."""
    for name in _FOLDERS:
        yield from (folder for folder in environment.get(name, "").split(":") if folder.startswith("/"))
    for name in _FILES:
        if environment.get(name, "").startswith("/"):
            yield str(Path(environment[name]).parent)


def program_paths(program: str) -> tuple[str, ...]:
    """Return the paths that a program needs: Python with its packages, Blender with its folder, or only itself."""
    path = Path(program).absolute()
    resolved = path.resolve()
    if re.match(r"python[\d.]*$", path.name):
        return tuple(dict.fromkeys(map(str, _python_paths(path, resolved))))
    interpreter = _interpreter(resolved)
    of_script = program_paths(interpreter) if interpreter else ()
    return (str(resolved), *([str(resolved.parent)] if _has_data_folder(resolved) else []), *of_script)


def _interpreter(script: Path) -> str | None:
    """Return the interpreter of a script, or None if it is not a script."""
    with suppress(OSError), script.open("rb") as file:
        words = file.readline(256).decode(errors="replace").removeprefix("#!").split()
        file.seek(0)
        if file.read(2) == b"#!" and words and words[0] != str(script):
            return words[0]
    return None


def _has_data_folder(blender: Path) -> bool:
    """Return whether a program has its data beside it, as an unpacked Blender has in a folder such as 5.0."""
    return any(re.fullmatch(r"\d+\.\d+", entry.name) for entry in blender.parent.glob("*.*"))


def _python_paths(path: Path, resolved: Path) -> Iterator[Path]:
    """Yield a Python's own paths, never its prefix: that can be `/` or ~/.local."""
    yield resolved
    prefixes = [resolved.parent.parent]
    for folder in (path.parent, path.parent.parent):
        config = folder / "pyvenv.cfg"
        if config.is_file():
            yield config
            prefixes += [folder, *_base_prefix(config)]
    for prefix in prefixes:
        for name in ("lib", "lib64"):
            yield from prefix.glob(f"{name}/libpython3*")
            yield from prefix.glob(f"{name}/python3*")
        if (prefix / "conda-meta").is_dir():  # shared libraries of packages
            yield prefix / "lib"


def _base_prefix(config: Path) -> Iterator[Path]:
    """Yield the base installation of a virtual environment."""
    with suppress(OSError, UnicodeDecodeError):
        match = re.search(r"^home\s*=\s*(.+?)\s*$", config.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            yield Path(match[1]).parent
