"""The files that a scene uses: listing them, finding missing ones, and relocating paths."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import bpy

from session_lib import paths
from session_lib.file_references import Reference, all_references, libraries
from session_lib.fluid_caches import redirect_fluids
from session_lib.usage import Usage


@dataclass(frozen=True)
class File:
    """A file that the scene uses."""

    path: str  #: as stored in the .blend
    absolute: str
    kind: str
    owner: str
    exists: bool


def all_files() -> list[File]:
    """List each file once, with sequences, tiles and cache folders expanded; absolute paths take precedence."""
    files: dict[str, File] = {}
    for file in (*_walk_references(), *_blender_file_map()):
        known = files.setdefault(file.absolute, file)
        if paths.is_absolute(file.path) and not paths.is_absolute(known.path):
            files[file.absolute] = replace(known, path=file.path)
    return list(files.values())


def drop_external_libraries() -> list[File]:
    """Remove libraries outside the allowed folder, with all datablocks linked from them.

    Returns those that the scene or an allowed library links, as missing; libraries of removed ones are not reported.
    """
    outside = [library for library in libraries() if not paths.is_within(paths.library_path(library.holder))]
    parents = [(library, library.holder.parent) for library in outside]
    linked = [library for library, parent in parents if parent is None or paths.is_within(paths.library_path(parent))]
    missing = [File(library.raw, library.absolute, library.kind, library.owner, False) for library in linked]
    for library in outside:
        bpy.data.libraries.remove(library.holder)
    return missing


def hidden_paths() -> list[str]:
    """Return folders and libraries that exist but that this session may not read, so that their files are unknown."""
    for library in libraries():
        if paths.existing_file(path := paths.library_path(library.holder)):
            paths.note_hidden(path)
    return sorted(paths.hidden)


def missing_files() -> list[File]:
    """Return the files that rendering needs and that do not exist."""
    return [file for file in _walk_references() if not file.exists]


def _walk_references() -> Iterator[File]:
    missing: list[Reference] = []
    for reference in all_references():
        existing = reference.files()
        for absolute in existing:
            yield File(reference.raw, absolute, reference.kind, reference.owner, True)
        if reference.needed and not existing:
            missing.append(reference)
    for reference in _used_references(missing):
        yield File(reference.raw, reference.absolute, reference.kind, reference.owner, False)


def _used_references(references: list[Reference]) -> list[Reference]:
    """Return the references that an image can depend on. The user map is costly, so only built if needed."""
    if not references:
        return []
    usage = Usage()
    blocks = bpy.types.ID
    return [
        reference
        for reference in references
        if not isinstance(reference.holder, blocks) or usage.is_seen(reference.holder)
    ]


def _blender_file_map() -> Iterator[File]:
    """Yield existing files that Blender's own list (from 4.5 on) has in addition."""
    if not hasattr(bpy.data, "file_path_map"):
        return
    for block, raws in bpy.data.file_path_map(include_libraries=True).items():
        for raw in sorted(raws):
            absolute = paths.resolve(raw, block.library)
            if paths.existing_file(absolute):
                yield File(raw, absolute, "file", f"{block.bl_rna.name}: {block.name}", True)


def relocate(folders: Mapping[str, str]) -> None:
    """Rewrite every absolute path below a key of `folders` to the folder that replaces it."""
    if not folders:
        return
    _relocate_libraries(folders)
    for reference in all_references():
        if reference.kind != "library":
            _relocate_reference(reference, folders)


def _relocate_libraries(folders: Mapping[str, str]) -> None:
    """Relocate libraries one by one: reloading one brings in others to relocate."""
    done: set[str] = set()
    while library := next(
        (
            reference.holder
            for reference in libraries()
            if reference.raw not in done and _relocate_reference(reference, folders)
        ),
        None,
    ):
        done.add(library.filepath)
        if os.path.isfile(library.filepath):
            library.reload()
            redirect_fluids()


def _relocate_reference(reference: Reference, folders: Mapping[str, str]) -> bool:
    if not paths.is_absolute(reference.raw):
        return False
    new_path = relocated(reference.absolute, folders)
    if new_path is None:
        return False
    setattr(reference.holder, reference.attribute, new_path)
    return True


def relocated(path: str, folders: Mapping[str, str]) -> str | None:
    """Return the new path of `path`, by the longest matching key of `folders`; None if none matches."""
    for folder in sorted(folders, key=len, reverse=True):
        below = path[len(folder) :].lstrip("/")
        if path == folder or path.startswith(folder.rstrip("/") + "/"):
            return os.path.join(folders[folder], below)
    return None


def to_json(file: File) -> dict[str, Any]:
    """Return the file as a JSON object."""
    return dict(vars(file))
