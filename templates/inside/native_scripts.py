"""Programs inside a scene that Blender runs although its scripts are off: OSL, and style modules of Freestyle.

An OSL shader reads and prints what it likes; so does an OSL camera (4.5 on), whatever the shading system of the scene.
Blender 4.2 and 5.0 run the Python of Freestyle's style modules without asking (measured; 4.5 asks).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from inside.faults import SceneFault, listed
from inside.reach import rendered_scenes
from inside.references import node_trees
from inside.usage import Usage


@dataclass(frozen=True)
class OslShader:
    """A Script node."""

    owner: Any  #: a material, a world, a node group, …
    tree: Any
    node: Any
    linked: bool  #: whether anything reads what it comes to

    def __str__(self) -> str:
        return f"OSL shader of {self.owner.bl_rna.name}: {self.owner.name}"

    def remove(self) -> None:
        self.tree.nodes.remove(self.node)

    def is_missed(self, picture: "Picture") -> bool:
        """Whether the picture is another one without it."""
        used = any(scene.name_full in picture.osl for scene in picture.by_cycles)
        return used and self.linked and picture.usage.is_seen(self.owner)


@dataclass(frozen=True)
class OslCamera:
    """A camera whose rays come from an OSL shader."""

    owner: Any

    def __str__(self) -> str:
        return f"OSL camera {self.owner.name}"

    def remove(self) -> None:
        """Empty first what its mode reads: Blender compiles what is left at once."""
        properties = {"custom_filepath": "", "custom_shader": None, "custom_bytecode": ""}
        for name in sorted(properties, reverse=self.owner.custom_mode == "INTERNAL"):
            setattr(self.owner, name, properties[name])

    def is_missed(self, picture: "Picture") -> bool:
        seen_by = [lens for scene in picture.by_cycles for lens in _camera_data(scene)]
        return self.owner.type == "CUSTOM" and self.owner in (*seen_by, *picture.cameras)


@dataclass(frozen=True)
class FreestyleModules:
    """The Python that draws the lines of a view layer."""

    owner: Any  #: its scene
    layer: str
    active: bool  #: whether they are what draws them

    def __str__(self) -> str:
        return f"Freestyle script of view layer {self.layer}"

    def remove(self) -> None:
        modules = self.owner.view_layers[self.layer].freestyle_settings.modules
        for module in list(modules):
            modules.remove(module)

    def is_missed(self, picture: "Picture") -> bool:
        layer = self.owner.view_layers[self.layer]
        drawn = self.owner.render.use_freestyle and layer.use and layer.use_freestyle
        return bool(self.active and drawn and self.owner in picture.scenes)


@dataclass(frozen=True)
class Picture:
    """What is rendered."""

    scenes: list[Any]
    osl: set[str]  #: the scenes that are rendered with OSL
    cameras: list[Any]  #: data of those that tasks name
    usage: Usage

    @property
    def by_cycles(self) -> list[Any]:
        return [scene for scene in self.scenes if scene.render.engine == "CYCLES"]


NativeScript = OslShader | OslCamera | FreestyleModules


def native_scripts() -> Iterator[NativeScript]:
    """All that are there, used or not."""
    for owner, tree in node_trees():
        for node in tree.nodes:
            if node.bl_idname == "ShaderNodeScript":
                linked = not node.mute and any(socket.is_linked for socket in node.outputs)
                yield OslShader(owner, tree, node, linked)
    for camera in bpy.data.cameras:
        if getattr(camera, "custom_filepath", "") or _has_text(camera):
            yield OslCamera(camera)
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            settings = getattr(layer, "freestyle_settings", None)  # not in every build
            if settings is not None and any(module.script is not None for module in settings.modules):
                active = settings.mode == "SCRIPT" and any(module.use and module.script for module in settings.modules)
                yield FreestyleModules(scene, layer.name, active)


def _has_text(camera: Any) -> bool:
    return getattr(camera, "custom_shader", None) is not None or bool(getattr(camera, "custom_bytecode", ""))


def _camera_data(scene: Any) -> list[Any]:
    """The data of the cameras that the scene may be seen by."""
    things = [scene.camera, *(marker.camera for marker in scene.timeline_markers)]
    return [thing.data for thing in things if thing is not None]


class NativeScriptBlocker:
    """Takes them out of the scene; what the picture has lost with them is told once it is known what is rendered.

    Switching OSL off would not do: that switch can be animated.
    """

    def __init__(self) -> None:
        self._blocked: list[tuple[str, NativeScript]] = []
        self._osl: set[str] = set()

    def block_all(self) -> None:
        """Take out what is there now, before a path of it is changed: Blender would compile it."""
        for scene in bpy.data.scenes:
            if hasattr(scene, "cycles") and scene.cycles.shading_system:
                self._osl.add(scene.name_full)
                scene.cycles.shading_system = False
        for script in list(native_scripts()):
            self._blocked.append((str(script), script))
            script.remove()

    def check(self, scene: Any, cameras: Iterable[str], notes: list[str]) -> None:
        """Raise SceneFault when a picture of the scene, by one of its `cameras`, is another one without them.

        Others are noted.
        """
        if not self._blocked:
            return
        named = [scene.objects[name].data for name in cameras if name in scene.objects]
        picture = Picture(rendered_scenes(scene), self._osl, named, Usage())
        missed = {text for text, script in self._blocked if _is_there(script) and script.is_missed(picture)}
        if missed:
            raise SceneFault(
                f"The scene can not be rendered without scripts of its own ({listed(sorted(missed))}); "
                "--trust-scripts lets them run, where the worker allows that."
            )
        blocked = listed(sorted({text for text, _ in self._blocked}))
        notes.append(f"Scripts were blocked ({blocked}); no picture depends on them.")


def _is_there(script: NativeScript) -> bool:
    """Whether its datablock is: the library that it came from may have been loaded anew."""
    try:
        return bool(script.owner.name_full)
    except ReferenceError:
        return False
