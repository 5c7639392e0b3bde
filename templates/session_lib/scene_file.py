"""Opening a scene file, with its scripts blocked unless they are trusted."""

import os
import re
from typing import Any

import bpy

from session_lib.faults import SceneFault, sentence, unknown_name
from session_lib.fluid_caches import redirect_fluids_on_load


def open_scene(path: str, *, trusted: bool = False) -> None:
    """Load the .blend at `path`, with redirected fluid caches. Raises SceneFault with Blender's reason."""
    if not os.path.isfile(path):
        raise SceneFault(f"There is no scene file {path}.")
    try:
        with redirect_fluids_on_load():
            bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=trusted)
    except RuntimeError as error:
        text = _without_paths(sentence(str(error)))
        raise SceneFault(f"Blender {bpy.app.version_string} cannot open {os.path.basename(path)}: {text}") from error


def _without_paths(text: str) -> str:
    """Strip the path that each version of Blender puts before its message."""
    text = re.sub(r"^Cannot read file \"?[^\"]*\"?: ", "", text)
    text = re.sub(r"^Loading \"[^\"]*\" failed: ", "", text)
    return re.sub(r"^(Failed to|Cannot) read blend file '[^']*', ", "", text)


def choose_scene(name: str | None) -> Any:
    """Activate and return the scene of that name, or the active one for None. Raises SceneFault."""
    if name is None:
        return bpy.context.scene
    scene = next((candidate for candidate in bpy.data.scenes if candidate.name == name), None)
    if scene is None:
        raise unknown_name("scene", name, [candidate.name for candidate in bpy.data.scenes])
    bpy.context.window.scene = scene
    return scene


def saved_by() -> str:
    """Return major and minor version of the Blender that saved the scene; the third number is the file format's."""
    return ".".join(map(str, bpy.data.version[:2]))
