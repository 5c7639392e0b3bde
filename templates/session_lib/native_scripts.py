"""Scripts that Blender runs although auto-execution is off: OSL, and Freestyle style modules.

OSL shaders can read files and print; so can OSL cameras (from 4.5 on), whatever the scene's shading system.
Blender 4.2 and 5.0 run the Python of Freestyle's style modules without asking (measured; 4.5 respects the setting).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from session_lib.faults import SceneFault, comma_separated
from session_lib.file_references import node_trees
from session_lib.render_scope import rendered_scenes
from session_lib.usage import Usage


@dataclass(frozen=True)
class OslShader:
    """A Script node."""

    owner: Any  #: a material, a world, a node group, …
    tree: Any
    node: Any
    linked: bool  #: whether any of its outputs is used

    def __str__(self) -> str:
        return f"OSL shader of {self.owner.bl_rna.name}: {self.owner.name}"

    def remove(self) -> None:
        """Remove the node."""
        self.tree.nodes.remove(self.node)

    def affects(self, scope: "RenderScope") -> bool:
        """Return whether the rendered image depends on it."""
        used = any(scene.name_full in scope.osl for scene in scope.by_cycles)
        return used and self.linked and scope.usage.is_seen(self.owner)


@dataclass(frozen=True)
class OslCamera:
    """A camera whose rays come from an OSL shader."""

    owner: Any

    def __str__(self) -> str:
        return f"OSL camera {self.owner.name}"

    def remove(self) -> None:
        """Clear what its mode reads first: Blender compiles at once what is left."""
        properties = {"custom_filepath": "", "custom_shader": None, "custom_bytecode": ""}
        for name in sorted(properties, reverse=self.owner.custom_mode == "INTERNAL"):
            setattr(self.owner, name, properties[name])

    def affects(self, scope: "RenderScope") -> bool:
        camera_data = [lens for scene in scope.by_cycles for lens in _camera_data(scene)]
        return self.owner.type == "CUSTOM" and self.owner in (*camera_data, *scope.cameras)


@dataclass(frozen=True)
class FreestyleModules:
    """The Python that draws the lines of a view layer."""

    owner: Any  #: its scene
    layer: str
    active: bool  #: whether they draw the lines

    def __str__(self) -> str:
        return f"Freestyle script of view layer {self.layer}"

    def remove(self) -> None:
        """Remove the style modules from the view layer."""
        modules = self.owner.view_layers[self.layer].freestyle_settings.modules
        for module in list(modules):
            modules.remove(module)

    def affects(self, scope: "RenderScope") -> bool:
        layer = self.owner.view_layers[self.layer]
        is_drawn = self.owner.render.use_freestyle and layer.use and layer.use_freestyle
        return bool(self.active and is_drawn and self.owner in scope.scenes)


@dataclass(frozen=True)
class RenderScope:
    """The scenes and cameras that are rendered."""

    scenes: list[Any]
    osl: set[str]  #: names of scenes that are rendered with OSL
    cameras: list[Any]  #: data of the cameras that tasks name
    usage: Usage

    @property
    def by_cycles(self) -> list[Any]:
        return [scene for scene in self.scenes if scene.render.engine == "CYCLES"]


NativeScript = OslShader | OslCamera | FreestyleModules


def native_scripts() -> Iterator[NativeScript]:
    """Yield all native scripts, used or not."""
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
    """Return the data of the scene's camera and of those of its timeline markers."""
    things = [scene.camera, *(marker.camera for marker in scene.timeline_markers)]
    return [thing.data for thing in things if thing is not None]


class NativeScriptBlocker:
    """Removes native scripts from the scene; once the render scope is known, reports those that it needs.

    Switching OSL off does not suffice: that setting can be animated.
    """

    def __init__(self) -> None:
        self._blocked: list[tuple[str, NativeScript]] = []
        self._osl: set[str] = set()

    def block_all(self) -> None:
        """Remove the present scripts, before one of their paths is changed: Blender would compile it."""
        for scene in bpy.data.scenes:
            if hasattr(scene, "cycles") and scene.cycles.shading_system:
                self._osl.add(scene.name_full)
                scene.cycles.shading_system = False
        for script in list(native_scripts()):
            self._blocked.append((str(script), script))
            script.remove()

    def check(self, scene: Any, cameras: Iterable[str], notes: list[str]) -> None:
        """Raise SceneFault if an image of the scene by one of the `cameras` depends on a removed script.

        Others are noted.
        """
        if not self._blocked:
            return
        named = [scene.objects[name].data for name in cameras if name in scene.objects]
        scope = RenderScope(rendered_scenes(scene), self._osl, named, Usage())
        needed = {text for text, script in self._blocked if _still_exists(script) and script.affects(scope)}
        if needed:
            raise SceneFault(
                f"The scene cannot be rendered without its scripts ({comma_separated(sorted(needed))}); "
                "--trust-scripts allows them, if the worker does."
            )
        blocked = comma_separated(sorted({text for text, _ in self._blocked}))
        notes.append(f"Scripts were blocked ({blocked}); no image depends on them.")


def _still_exists(script: NativeScript) -> bool:
    """Return whether its datablock still exists: its library may have been reloaded."""
    try:
        return bool(script.owner.name_full)
    except ReferenceError:
        return False
