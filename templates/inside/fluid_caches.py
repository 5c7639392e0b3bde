"""Caches of fluids: Blender writes into them as soon as a scene is opened, wherever the scene says they are.

So every fluid gets a folder of ours before it is evaluated for the first time, with links to what is baked.
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

from inside import paths

#: What Blender only reads once it is baked.
BAKED = ("data", "noise", "mesh", "particles", "guiding")

_numbers = count()
#: Folder of ours -> the one that the scene names.
_named: dict[str, str] = {}


@dataclass
class FluidCache:
    """The cache of a fluid's domain, with the folder that the scene names."""

    domain: Any
    library: Any

    @property
    def cache_directory(self) -> str:
        return _named.get(self.domain.cache_directory, str(self.domain.cache_directory))

    @cache_directory.setter
    def cache_directory(self, path: str) -> None:
        """Have the fluid read what lies in the folder, and write to one of ours."""
        folder = os.path.join(bpy.app.tempdir, f"fluid_{next(_numbers)}")
        _link_baked(paths.resolve(path, self.library), folder)
        _named[folder] = path
        self.domain.cache_directory = folder


def redirect_fluids() -> None:
    """Give every fluid that has none a folder of ours."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            domain = modifier.domain_settings if modifier.type == "FLUID" else None
            if domain is not None and domain.cache_directory not in _named:
                cache = FluidCache(domain, thing.library)
                cache.cache_directory = domain.cache_directory


@contextmanager
def redirected_while_loading() -> Iterator[None]:
    """While a scene is opened: `load_post` comes before anything of it is evaluated."""
    outcome: list[Exception | None] = []

    @persistent
    def redirect(*_: object) -> None:
        try:
            redirect_fluids()
        except Exception as error:  # raised again below: Blender itself only prints it
            outcome.append(error)
        else:
            outcome.append(None)

    handlers = bpy.app.handlers.load_post
    handlers.insert(0, redirect)
    try:
        yield
    finally:
        handlers.remove(redirect)
    for error in outcome or [RuntimeError("Blender did not say that it has opened the scene.")]:
        if error is not None:
            raise error


def _link_baked(source: str, folder: str) -> None:
    """Links to the files of a bake, and copies of its configuration, which Blender writes anew."""
    os.makedirs(folder, exist_ok=True)
    for part in (*BAKED, "config"):
        place = os.path.join(source, part)
        files = [file for file in paths.everything(place) if os.path.dirname(file) == place]
        if files:
            os.makedirs(os.path.join(folder, part))
        for file in files:
            target = os.path.join(folder, part, os.path.basename(file))
            if part == "config":
                with suppress(OSError):  # this session may not read it
                    shutil.copyfile(file, target)
            else:
                os.symlink(file, target)
