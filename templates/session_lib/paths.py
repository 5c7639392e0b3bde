"""Resolving Blender's paths, and expanding them to the files they stand for."""

import os
import re
from typing import Any

import bpy

#: The only folder whose files count, for untrusted scenes; None: all files do.
_allowed_folder: str | None = None
#: Existing folders and files that this session may not read.
hidden: set[str] = set()
#: File names in folders that this session may not read, as renderctl lists them.
_listings: dict[str, list[str]] = {}


def restrict_to(folder: str | None) -> None:
    """Ignore all files outside `folder`; None lifts the restriction."""
    global _allowed_folder
    hidden.clear()
    _allowed_folder = os.path.normpath(folder) if folder is not None else None


def set_directory_listings(names: dict[str, list[str]]) -> None:
    """Provide the file names in folders that this session may not read."""
    _listings.clear()
    _listings.update(names)


def is_within(path: str) -> bool:
    """Return whether `path` is in the allowed folder."""
    return _allowed_folder is None or os.path.normpath(path).startswith(_allowed_folder + os.sep)


def resolve(path: str, library: Any = None) -> str:
    """Return the absolute path of a datablock's `path`; `library` is the one that the datablock was linked from.

    Like Blender: `//` is the folder of the .blend that contains it, backslashes are slashes, drive letters are dropped.
    """
    text = _with_slashes(path)
    if text.startswith("//"):
        text = os.path.join(folder_of(library), text[2:])
    elif not text.startswith("/"):
        text = os.path.join(folder_of(library), text)
    normalized = os.path.normpath(text)
    return normalized if os.path.exists(normalized) or not os.path.exists(text) else os.path.realpath(text)


def is_absolute(path: str) -> bool:
    """Return whether the path is independent of the folder of its .blend."""
    text = _with_slashes(path)
    return text.startswith("/") and not text.startswith("//")


def _with_slashes(path: str) -> str:
    if "\\" in path and not os.path.exists(path):
        path = path.replace("\\", "/")
    return re.sub(r"^[A-Za-z]:(?=/)", "", path)


def folder_of(library: Any) -> str:
    """Return the folder that `//` means in a library, or in the scene for None."""
    return os.path.dirname(library_path(library) if library is not None else bpy.data.filepath)


def library_path(library: Any) -> str:
    """Return a library's absolute path. Blender 4.2 to 5.0 keep even nested ones relative to the scene."""
    path = resolve(library.filepath)
    if library.parent is not None and not os.path.exists(path):
        from_parent = resolve(library.filepath, library.parent)
        return from_parent if os.path.exists(from_parent) else path
    return path


def existing_file(path: str) -> list[str]:
    """Return the file at `path` if it exists and counts."""
    return [path] if is_within(path) and os.path.isfile(path) else []


def sequence_files(path: str) -> list[str]:
    """Return all files that differ from `path` only in the last number."""
    folder, name = os.path.split(path)
    parts = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
    if parts is None:
        return existing_file(path)
    return _matching(folder, re.escape(parts[1]) + r"\d+" + re.escape(parts[3]))


def tile_files(path: str) -> list[str]:
    """Return all tiles of a UDIM (`<UDIM>`: 1001 …) or `<UVTILE>` (u1_v1 …) image."""
    folder, name = os.path.split(path)
    pattern = re.escape(name).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
    return _matching(folder, pattern)


def files_below(path: str) -> list[str]:
    """Return all files below a folder."""
    if not is_within(path):
        return []
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(path, onerror=_record_hidden) for name in names
    )


def fluid_files(path: str) -> list[str]:
    """Return all files of a fluid cache; none if it has only the configuration, which Blender writes on opening."""
    return files_below(path) if files_below(os.path.join(path, "data")) else []


def _matching(folder: str, pattern: str) -> list[str]:
    if not (is_within(os.path.join(folder, "any")) and os.path.isdir(folder)):
        return []
    try:
        names = _listings.get(folder) or os.listdir(folder)
    except PermissionError as error:
        _record_hidden(error)
        return []
    return sorted(os.path.join(folder, name) for name in names if re.fullmatch(pattern, name))


def note_hidden(path: str) -> None:
    """Record a file that exists and cannot be read."""
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        _record_hidden(error)


def _record_hidden(error: OSError) -> None:
    if isinstance(error, PermissionError) and error.filename not in _listings:
        hidden.add(os.fsdecode(error.filename))
