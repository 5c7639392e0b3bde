"""Which files a scene needs, which of them are missing, and pointing it to where they lie now."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import bpy

from inside import paths
from inside.fluid_caches import redirect_fluids
from inside.references import Reference, all_references, libraries
from inside.usage import Usage


@dataclass(frozen=True)
class File:
    """A file that the scene names."""

    path: str  #: as it is stored
    absolute: str
    kind: str
    owner: str
    exists: bool


def needed_files() -> list[File]:
    """Each file once, sequences, tiles and cache folders spread out; by an absolute path where it has one, too."""
    found: dict[str, File] = {}
    for file in (*_walked(), *_known_to_blender()):
        known = found.setdefault(file.absolute, file)
        if paths.is_absolute(file.path) and not paths.is_absolute(known.path):
            found[file.absolute] = replace(known, path=file.path)
    return list(found.values())


def forget_elsewhere() -> list[File]:
    """Take out the libraries that lie where no file counts, with all that came of them.

    Those that the scene, or a library that stays, names are missing; what others name is nobody's business.
    """
    outside = [each for each in libraries() if not paths.is_within(paths.library_path(each.holder))]
    parents = [(each, each.holder.parent) for each in outside]
    named = [each for each, parent in parents if parent is None or paths.is_within(paths.library_path(parent))]
    missing = [File(each.raw, each.absolute, each.kind, each.owner, False) for each in named]
    for each in outside:
        bpy.data.libraries.remove(each.holder)
    return missing


def hidden_paths() -> list[str]:
    """Folders and libraries that this session was not let read, although they are there: who knows what they hold."""
    for each in libraries():
        if paths.single(library := paths.library_path(each.holder)):
            paths.note_hidden(library)
    return sorted(paths.hidden)


def missing_files() -> list[File]:
    return [file for file in _walked() if not file.exists]


def _walked() -> Iterator[File]:
    lost: list[Reference] = []
    for reference in all_references():
        there = reference.files()
        for absolute in there:
            yield File(reference.raw, absolute, reference.kind, reference.owner, True)
        if reference.needed and not there:
            lost.append(reference)
    for reference in _used(lost):
        yield File(reference.raw, reference.absolute, reference.kind, reference.owner, False)


def _used(references: list[Reference]) -> list[Reference]:
    """Those that a picture can depend on. Who uses whom is costly to find out: only asked when there are any."""
    if not references:
        return []
    usage = Usage()
    blocks = bpy.types.ID
    return [each for each in references if not isinstance(each.holder, blocks) or usage.is_seen(each.holder)]


def _known_to_blender() -> Iterator[File]:
    """What Blender (4.5 on) lists beyond that, as far as it is there."""
    if not hasattr(bpy.data, "file_path_map"):
        return
    for block, raws in bpy.data.file_path_map(include_libraries=True).items():
        for raw in sorted(raws):
            absolute = paths.resolve(raw, block.library)
            if paths.single(absolute):
                yield File(raw, absolute, "file", f"{block.bl_rna.name}: {block.name}", True)


def relocate(places: Mapping[str, str]) -> None:
    """Point every absolute path below one of the folders of `places` to the folder that took its place."""
    if not places:
        return
    _relocate_libraries(places)
    for reference in all_references():
        if reference.kind != "library":
            _move(reference, places)


def _relocate_libraries(places: Mapping[str, str]) -> None:
    """One after the other: each that is found brings in others that are to be relocated in their turn."""
    done: set[str] = set()
    while library := next((each.holder for each in libraries() if each.raw not in done and _move(each, places)), None):
        done.add(library.filepath)
        if os.path.isfile(library.filepath):
            library.reload()
            redirect_fluids()


def _move(reference: Reference, places: Mapping[str, str]) -> bool:
    if not paths.is_absolute(reference.raw):
        return False
    place = relocated(reference.absolute, places)
    if place is None:
        return False
    setattr(reference.holder, reference.attribute, place)
    return True


def relocated(path: str, places: Mapping[str, str]) -> str | None:
    """Where `path` lies now, by the longest folder of `places` that it is below; None: it did not move."""
    for folder in sorted(places, key=len, reverse=True):
        below = path[len(folder) :].lstrip("/")
        if path == folder or path.startswith(folder.rstrip("/") + "/"):
            return os.path.join(places[folder], below)
    return None


def document(file: File) -> dict[str, Any]:
    return dict(vars(file))
