"""The facts of a scene: the fields of `models.ModelFacts` and `models.SceneFacts`, read without rendering."""

from typing import Any

import bpy

from session_lib import embedded_scripts, simulations
from session_lib.files import all_files, to_json
from session_lib.scene_file import saved_by


def model_facts() -> dict[str, Any]:
    """Return the facts of the open file."""
    return {
        "saved_by": saved_by(),
        "opened_by": ".".join(map(str, bpy.app.version)),
        "active_scene": bpy.context.scene.name,
        "scenes": [scene_facts(scene) for scene in bpy.data.scenes if scene.library is None],
        "materials": len(bpy.data.materials),
        "objects": len(bpy.data.objects),
        "faces": _faces(bpy.data.objects),
        "scripts": embedded_scripts.scripts(),
        "files": [to_json(file) for file in all_files()],
    }


def scene_facts(scene: Any) -> dict[str, Any]:
    """Return the facts of a scene."""
    render = scene.render
    return {
        "name": scene.name,
        "camera": scene.camera.name if scene.camera else None,
        "cameras": camera_names(scene),
        "frame_start": scene.frame_start,
        "frame_end": scene.frame_end,
        "frame_step": scene.frame_step,
        "frame_current": scene.frame_current,
        "fps": render.fps / render.fps_base,
        "resolution": [render.resolution_x, render.resolution_y],
        "percentage": render.resolution_percentage,
        "engine": render.engine,
        "samples": samples(scene),
        "format": render.image_settings.file_format,
        "view_layers": [layer.name for layer in scene.view_layers],
        "objects": len(scene.objects),
        "faces": _faces(scene.objects),
        "unbaked": simulations.unbaked(scene),
    }


def camera_names(scene: Any) -> list[str]:
    """Return the names of the scene's cameras, sorted."""
    return sorted(thing.name for thing in scene.objects if thing.type == "CAMERA")


def samples(scene: Any) -> int | None:
    """Return the samples per pixel of the scene's engine, or None if it has no such setting."""
    if scene.render.engine == "CYCLES":
        return int(scene.cycles.samples)
    if scene.render.engine.startswith("BLENDER_EEVEE"):
        return int(scene.eevee.taa_render_samples)
    return None


def _faces(things: Any) -> int:
    return sum(len(thing.data.polygons) for thing in things if thing.type == "MESH" and thing.data is not None)
