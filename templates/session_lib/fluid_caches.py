"""Fluid caches: Blender writes to them as soon as a scene is opened, wherever the scene says they are.

So every fluid gets a temporary folder before it is first evaluated, with links to its baked files.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import bpy
from bpy.app.handlers import persistent

from session_lib import paths

#: Subfolders that Blender only reads once they are baked.
BAKED_FOLDERS = ("data", "noise", "mesh", "particles", "guiding")

_folder_ids = count()
#: Temporary folder -> the folder that the scene names.
_original_folders: dict[str, str] = {}


@dataclass
class FluidCache:
    """The cache of a fluid domain, by the folder that the scene names."""

    domain: Any
    library: Any

    @property
    def cache_directory(self) -> str:
        """The folder that the scene names."""
        return _original_folders.get(self.domain.cache_directory, str(self.domain.cache_directory))

    @cache_directory.setter
    def cache_directory(self, path: str) -> None:
        """Have the fluid read from this folder, and write to a temporary one."""
        folder = os.path.join(bpy.app.tempdir, f"fluid_{next(_folder_ids)}")
        _link_baked(paths.resolve(path, self.library), folder)
        _original_folders[folder] = path
        self.domain.cache_directory = folder


def redirect_fluids() -> None:
    """Redirect every fluid that is not redirected yet."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            domain = modifier.domain_settings if modifier.type == "FLUID" else None
            if domain is not None and domain.cache_directory not in _original_folders:
                cache = FluidCache(domain, thing.library)
                cache.cache_directory = domain.cache_directory


@contextmanager
def redirect_fluids_on_load() -> Iterator[None]:
    """Redirect fluids while a scene is loaded: `load_post` runs before anything is evaluated."""
    outcomes: list[Exception | None] = []

    @persistent
    def redirect(*_: object) -> None:
        try:
            redirect_fluids()
        except Exception as error:  # raised again below: Blender only prints it
            outcomes.append(error)
        else:
            outcomes.append(None)

    handlers = bpy.app.handlers.load_post
    handlers.insert(0, redirect)
    try:
        yield
    finally:
        handlers.remove(redirect)
    for error in outcomes or [RuntimeError("Blender did not call load_post.")]:
        if error is not None:
            raise error


def _link_baked(source: str, folder: str) -> None:
    """Link the files of a bake, and copy its configuration, which Blender rewrites."""
    os.makedirs(folder, exist_ok=True)
    for subfolder in (*BAKED_FOLDERS, "config"):
        source_folder = os.path.join(source, subfolder)
        files = [file for file in paths.files_below(source_folder) if os.path.dirname(file) == source_folder]
        if files:
            os.makedirs(os.path.join(folder, subfolder))
        for file in files:
            target = os.path.join(folder, subfolder, os.path.basename(file))
            if subfolder == "config":
                with suppress(OSError):  # this session may not read it
                    shutil.copyfile(file, target)
            else:
                os.symlink(file, target)
