"""Finding the Blenders of this machine, and picking the one for a scene."""

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

#: The oldest Blender whose scripts we speak, and the oldest that reads what 5.0 and later save.
OLDEST = (4, 2, 0)
READS_NEW_FORMAT = (4, 5, 0)
INSTALL_HINT = "`pip install 'renderctl[blender]'` brings one along; or name yours in blender.paths of the config."

#: Variables that a program hears which is asked for its version: no passwords.
_VERSION_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "HOME", "TMPDIR")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Blender:
    """A Blender of this machine or of an image: a `blender` program, or a Python that has the bpy module."""

    version: Version
    program: Path
    module: bool
    image: str | None = None  #: digest of the image in which it is, for an executor that starts it there
    image_name: str | None = None

    def argv(self) -> tuple[str, ...]:
        """The command that starts a session with it."""
        session = str(templates_dir() / "session.py")
        if self.module:
            return (str(self.program), session)
        return (str(self.program), "-b", "--factory-startup", "-Y", "--python-exit-code", "17", "-P", session)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that a session of it needs."""
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}

    @property
    def label(self) -> str:
        kind = f"bpy module, {self.program}" if self.module else str(self.program)
        kind = f"image {self.image_name}, {self.image}" if self.image else kind
        return f"Blender {format_version(self.version)} ({kind})"


def version_of(text: str) -> Version | None:
    """The version that a text says, such as `5.0.1`; None: it says none."""
    numbers = [int(number) for number in re.findall(r"\d+", text)[:3]]
    if len(numbers) < 2:
        return None
    return numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0


def format_version(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def find_blenders(paths: Sequence[str], *, cache_dir: Path) -> tuple[Blender, ...]:
    """Every Blender of this machine, newest first: those at `paths`, on PATH, and the bpy module beside us.

    A path is a `blender` program, a Python that has bpy, or a folder with one of them. What programs answer to
    `--version` is remembered in `cache_dir`. Raises BlenderMissing for a path where there is none, and when there is
    no Blender at all.
    """
    found: list[Blender | None] = [_blender_at_path(Path(path).expanduser(), cache_dir) for path in paths]
    on_path = shutil.which("blender")
    found += [_blender_of_program(Path(on_path), cache_dir) if on_path else None]
    found += [_blender_of_module(Path(sys.executable))]
    blenders = {each.program: each for each in found if each is not None}
    usable = [each for each in blenders.values() if each.version >= OLDEST]
    if not usable:
        raise BlenderMissing(_none_message(list(blenders.values())), hint=INSTALL_HINT)
    return tuple(sorted(usable, key=lambda each: (each.version, each.module), reverse=True))


def _none_message(too_old: list[Blender]) -> str:
    if too_old:
        return f"{too_old[0].label} is too old: {format_version(OLDEST[:2])} or newer is needed."
    return "No Blender was found on this machine."


def pick_blender(blenders: Sequence[Blender], saved_by: SavedBy) -> tuple[Blender, str | None]:
    """The Blender that is nearest to the one that saved the scene, and a warning when it is an older one.

    The same major and minor version is best, then the oldest of the newer ones, then the newest of the older ones.
    Raises SceneTooNew when none of them can open it.
    """
    same = [each for each in blenders if each.version[:2] == saved_by.version]
    if same:
        return max(same, key=lambda each: each.version), None
    newer = [each for each in blenders if each.version[:2] > saved_by.version]
    if newer:
        return min(newer, key=lambda each: (each.version[:2], -each.version[2])), None
    able = [each for each in blenders if each.version >= min_version_for(saved_by)]
    if not able:
        newest = max(blenders, key=lambda each: each.version)
        raise SceneTooNew(
            f"The scene was saved by Blender {saved_by}, and {newest.label} can not open it.",
            hint=f"Install Blender {saved_by} or newer, and name it in blender.paths of the config.",
        )
    best = max(able, key=lambda each: each.version)
    return (
        best,
        f"The scene was saved by Blender {saved_by}; Blender {format_version(best.version)} may lose parts of it.",
    )


def min_version_for(saved_by: SavedBy) -> Version:
    """The oldest Blender that `pick_blender` would open the scene with."""
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
        hint="A path in blender.paths is a `blender` program, a Python that has bpy, or a folder with one.",
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
    """The bpy module of a Python, by its installed metadata: importing it would take half a second."""
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
    """The program's version, asked once for each state of its file."""
    stat = program.stat()
    key = f"{program}:{stat.st_mtime_ns}:{stat.st_size}"
    known_file = cache_dir / "blenders.json"
    known = _read_known(known_file)
    if key not in known:
        known[key] = _query_version(program)
        make_private_folder(cache_dir)
        written = known_file.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps(known), encoding="utf-8")
        restrict_to_owner(written)
        written.replace(known_file)
    return version_of(known[key])


def _read_known(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _query_version(program: Path) -> str:
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={name: os.environ[name] for name in _VERSION_ENVIRONMENT if name in os.environ},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BlenderMissing(f"{program} does not answer: {error}.") from error
    match = re.search(r"^Blender (\d+\.\d+(?:\.\d+)?)", answer.stdout, re.MULTILINE)
    return match[1] if match else ""
