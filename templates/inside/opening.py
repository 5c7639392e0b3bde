"""Opening a scene: with its scripts kept from running, unless they are trusted."""

import os
import re
from typing import Any

import bpy

from inside.faults import SceneFault, no_such, sentence
from inside.fluid_caches import redirected_while_loading


def open_scene(path: str, *, trusted: bool = False) -> None:
    """Load the .blend at `path`, its fluids with caches of ours. Raises SceneFault with Blender's reason."""
    if not os.path.isfile(path):
        raise SceneFault(f"There is no scene file {path}.")
    try:
        with redirected_while_loading():
            bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=trusted)
    except RuntimeError as error:
        text = _without_paths(sentence(str(error)))
        raise SceneFault(f"Blender {bpy.app.version_string} can not open {os.path.basename(path)}: {text}") from error


def _without_paths(text: str) -> str:
    """What Blender says of a file, without the path that it puts in front, in the words of each version."""
    text = re.sub(r"^Cannot read file \"?[^\"]*\"?: ", "", text)
    text = re.sub(r"^Loading \"[^\"]*\" failed: ", "", text)
    return re.sub(r"^(Failed to|Cannot) read blend file '[^']*', ", "", text)


def choose_scene(name: str | None) -> Any:
    """The scene of that name (None: the active one), made the one that is worked on. Raises SceneFault."""
    if name is None:
        return bpy.context.scene
    scene = next((each for each in bpy.data.scenes if each.name == name), None)
    if scene is None:
        raise no_such("scene", name, [each.name for each in bpy.data.scenes])
    bpy.context.window.scene = scene
    return scene


def saved_by() -> str:
    """Major and minor version of the Blender that saved the scene; what follows counts changes of the file format."""
    return ".".join(map(str, bpy.data.version[:2]))
