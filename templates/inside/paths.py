"""How Blender's paths become paths of this machine, and which files one path stands for."""

import os
import re
from typing import Any

import bpy

#: The only folder that files may lie in, as far as a scene is believed; None: they may lie anywhere.
_within: str | None = None
#: Folders and files that are there, and that this session was not let read.
hidden: set[str] = set()
#: Of folders that it is not let read: the names of their files.
_told: dict[str, list[str]] = {}


def keep_within(folder: str | None) -> None:
    """From now on no file counts but those below `folder`; None: all of them do."""
    global _within
    hidden.clear()
    _within = os.path.normpath(folder) if folder is not None else None


def tell_names(names: dict[str, list[str]]) -> None:
    """What is in folders that this session is not let read."""
    _told.clear()
    _told.update(names)


def is_within(path: str) -> bool:
    """Whether what is at `path` counts."""
    return _within is None or os.path.normpath(path).startswith(_within + os.sep)


def resolve(path: str, library: Any = None) -> str:
    """The absolute path that a datablock's `path` means; `library` is the one that the datablock was linked from.

    As Blender does: `//` is the folder of the file that it stands in, backslashes of Windows are slashes, a drive
    letter is dropped.
    """
    text = _slashed(path)
    if text.startswith("//"):
        text = os.path.join(folder_of(library), text[2:])
    elif not text.startswith("/"):
        text = os.path.join(folder_of(library), text)
    plain = os.path.normpath(text)
    return plain if os.path.exists(plain) or not os.path.exists(text) else os.path.realpath(text)


def is_absolute(path: str) -> bool:
    """Whether the path holds wherever the file that names it lies."""
    text = _slashed(path)
    return text.startswith("/") and not text.startswith("//")


def _slashed(path: str) -> str:
    if "\\" in path and not os.path.exists(path):
        path = path.replace("\\", "/")
    return re.sub(r"^[A-Za-z]:(?=/)", "", path)


def folder_of(library: Any) -> str:
    """The folder that `//` means in a library; None: in the scene itself."""
    return os.path.dirname(library_path(library) if library is not None else bpy.data.filepath)


def library_path(library: Any) -> str:
    """The absolute path of a library. Blender keeps even a nested one's relative to the scene (4.2 to 5.0)."""
    path = resolve(library.filepath)
    if library.parent is not None and not os.path.exists(path):
        beside_parent = resolve(library.filepath, library.parent)
        return beside_parent if os.path.exists(beside_parent) else path
    return path


def single(path: str) -> list[str]:
    return [path] if is_within(path) and os.path.isfile(path) else []


def sequence(path: str) -> list[str]:
    """Every file that differs from `path` in its last number only."""
    folder, name = os.path.split(path)
    parts = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
    if parts is None:
        return single(path)
    return _matching(folder, re.escape(parts[1]) + r"\d+" + re.escape(parts[3]))


def tiles(path: str) -> list[str]:
    """Every tile of a UDIM (`<UDIM>`: 1001 …) or `<UVTILE>` (u1_v1 …) image."""
    folder, name = os.path.split(path)
    pattern = re.escape(name).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
    return _matching(folder, pattern)


def everything(path: str) -> list[str]:
    """Every file below a folder."""
    if not is_within(path):
        return []
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path, onerror=_note) for name in names)


def fluid(path: str) -> list[str]:
    """Every file of a fluid's cache. Its configuration, written as soon as it is opened, is none."""
    return everything(path) if everything(os.path.join(path, "data")) else []


def _matching(folder: str, pattern: str) -> list[str]:
    if not (is_within(os.path.join(folder, "any")) and os.path.isdir(folder)):
        return []
    try:
        names = _told.get(folder) or os.listdir(folder)
    except PermissionError as error:
        _note(error)
        return []
    return sorted(os.path.join(folder, name) for name in names if re.fullmatch(pattern, name))


def note_hidden(path: str) -> None:
    """Remember a file that is there and can not be read."""
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        _note(error)


def _note(error: OSError) -> None:
    if isinstance(error, PermissionError) and error.filename not in _told:
        hidden.add(os.fsdecode(error.filename))
