"""Finding the Blender installations of this machine, and selecting one for a scene."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renderctl.blender.header import SavedBy
from renderctl.blender.templates import templates_dir
from renderctl.core.errors import BlenderMissing, SceneTooNew
from renderctl.core.private_files import make_private_folder, restrict_to_owner

#: The oldest supported Blender, and the oldest that reads files of 5.0 and later.
OLDEST = (4, 2, 0)
READS_NEW_FORMAT = (4, 5, 0)
INSTALL_HINT = "Install one with `pip install 'renderctl[blender]'`, or name yours in blender.paths of the config."

#: Variables that are passed to `blender --version`: no secrets.
_VERSION_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "HOME", "TMPDIR")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Blender:
    """A Blender of this machine or of a container image: a `blender` program, or a Python with the bpy module."""

    version: Version
    program: Path
    module: bool
    image: str | None = None  #: ID of its container image; None: it is installed here
    image_name: str | None = None

    def argv(self) -> tuple[str, ...]:
        """Return the command that starts a session."""
        session = str(templates_dir() / "session.py")
        if self.module:
            return (str(self.program), session)
        return (str(self.program), "-b", "--factory-startup", "-Y", "--python-exit-code", "17", "-P", session)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of a session."""
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}

    @property
    def label(self) -> str:
        """Version and location, for people."""
        kind = f"bpy module, {self.program}" if self.module else str(self.program)
        kind = f"image {self.image_name}, {self.image}" if self.image else kind
        return f"Blender {format_version(self.version)} ({kind})"


def version_of(text: str) -> Version | None:
    """Parse the version in a text, such as `5.0.1`; None if there is none."""
    numbers = [int(number) for number in re.findall(r"\d+", text)[:3]]
    if len(numbers) < 2:
        return None
    return numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0


def format_version(version: Sequence[int]) -> str:
    """Return the version as text, such as `5.0.1`."""
    return ".".join(map(str, version))


def find_blenders(paths: Sequence[str], *, cache_dir: Path) -> tuple[Blender, ...]:
    """Return the Blenders of this machine, newest first: those at `paths`, on PATH, and this Python's bpy module.

    A path is a `blender` program, a Python that has bpy, or a folder with one of them. Versions of programs are cached
    in `cache_dir`. Raises BlenderMissing for a path without a Blender, and if there is none at all.
    """
    found: list[Blender | None] = [_blender_at_path(Path(path).expanduser(), cache_dir) for path in paths]
    on_path = shutil.which("blender")
    found += [_blender_of_program(Path(on_path), cache_dir) if on_path else None]
    found += [_blender_of_module(Path(sys.executable))]
    blenders = {blender.program: blender for blender in found if blender is not None}
    usable = [blender for blender in blenders.values() if blender.version >= OLDEST]
    if not usable:
        raise BlenderMissing(_none_message(list(blenders.values())), hint=INSTALL_HINT)
    return tuple(sorted(usable, key=lambda blender: (blender.version, blender.module), reverse=True))


def _none_message(too_old: list[Blender]) -> str:
    if too_old:
        return f"{too_old[0].label} is too old: {format_version(OLDEST[:2])} or newer is required."
    return "No Blender was found on this machine."


def pick_blender(blenders: Sequence[Blender], saved_by: SavedBy) -> tuple[Blender, str | None]:
    """Return the Blender closest to the one that saved the scene, and a warning if it is older.

    The same minor version is best, then the oldest newer one, then the newest older one.
    Raises SceneTooNew if none can open the scene.
    """
    same = [blender for blender in blenders if blender.version[:2] == saved_by.version]
    if same:
        return max(same, key=lambda blender: blender.version), None
    newer = [blender for blender in blenders if blender.version[:2] > saved_by.version]
    if newer:
        return min(newer, key=lambda blender: (blender.version[:2], -blender.version[2])), None
    able = [blender for blender in blenders if blender.version >= min_version_for(saved_by)]
    if not able:
        newest = max(blenders, key=lambda blender: blender.version)
        raise SceneTooNew(
            f"The scene was saved by Blender {saved_by}, and {newest.label} cannot open it.",
            hint=f"Install Blender {saved_by} or newer, and name it in blender.paths of the config.",
        )
    best = max(able, key=lambda blender: blender.version)
    return (
        best,
        f"The scene was saved by Blender {saved_by}; Blender {format_version(best.version)} may lose parts of it.",
    )


def min_version_for(saved_by: SavedBy) -> Version:
    """Return the oldest Blender version that can open the scene."""
    if saved_by.file_format > 1:
        return (*saved_by.version, 0)
    return READS_NEW_FORMAT if saved_by.file_format else OLDEST


def _blender_at_path(path: Path, cache_dir: Path) -> Blender:
    for candidate in _candidates(path):
        blender = _blender_at(candidate, cache_dir)
        if blender is not None:
            return blender
    raise BlenderMissing(
        f"There is no Blender at {path}.",
        hint="A path in blender.paths must be a `blender` program, a Python that has bpy, or a folder with one.",
    )


def _candidates(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (
            path / name for name in ("blender", "bin/blender", "bin/python", "python") if (path / name).is_file()
        )
    elif path.is_file():
        yield path


def _blender_at(program: Path, cache_dir: Path) -> Blender | None:
    if re.match(r"python[\d.]*$", program.name):
        return _blender_of_module(program)
    return _blender_of_program(program, cache_dir)


def _blender_of_module(python: Path) -> Blender | None:
    """Find the bpy module of a Python by its package metadata: importing it takes half a second."""
    for folder in _site_packages(python):
        for installed in folder.glob("bpy-*.dist-info"):
            if version := version_of(installed.name.removeprefix("bpy-")):
                return Blender(version, python, module=True)
    return None


def _site_packages(python: Path) -> Iterator[Path]:
    if python == Path(sys.executable):
        yield from (Path(entry) for entry in sys.path if entry.endswith("-packages"))
    else:
        yield from sorted(python.parent.parent.glob("lib/python3*/*-packages"))


def _blender_of_program(program: Path, cache_dir: Path) -> Blender | None:
    version = _cached_version(program.absolute(), cache_dir)
    return Blender(version, program.absolute(), module=False) if version else None


def _cached_version(program: Path, cache_dir: Path) -> Version | None:
    """Return the program's version, cached by its modification time and size."""
    stat = program.stat()
    key = f"{program}:{stat.st_mtime_ns}:{stat.st_size}"
    cache_file = cache_dir / "blenders.json"
    versions = _read_cache(cache_file)
    if key not in versions:
        versions[key] = _query_version(program)
        make_private_folder(cache_dir)
        temporary = cache_file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(versions), encoding="utf-8")
        restrict_to_owner(temporary)
        temporary.replace(cache_file)
    return version_of(versions[key])


def _read_cache(path: Path) -> dict[str, str]:
    try:
        versions = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return versions if isinstance(versions, dict) else {}


def _query_version(program: Path) -> str:
    try:
        result = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={name: os.environ[name] for name in _VERSION_ENVIRONMENT if name in os.environ},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BlenderMissing(f"{program} --version failed: {error}.") from error
    match = re.search(r"^Blender (\d+\.\d+(?:\.\d+)?)", result.stdout, re.MULTILINE)
    return match[1] if match else ""
