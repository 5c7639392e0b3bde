"""What is known of a scene: the fields of `models.ModelFacts` and `models.SceneFacts`, found without rendering."""

from typing import Any

import bpy

from inside import embedded, simulations
from inside.files import document, needed_files
from inside.opening import saved_by


def model_facts() -> dict[str, Any]:
    """The facts of the scene file that is open."""
    return {
        "saved_by": saved_by(),
        "opened_by": ".".join(map(str, bpy.app.version)),
        "active_scene": bpy.context.scene.name,
        "scenes": [scene_facts(scene) for scene in bpy.data.scenes if scene.library is None],
        "materials": len(bpy.data.materials),
        "objects": len(bpy.data.objects),
        "faces": _faces(bpy.data.objects),
        "scripts": embedded.scripts(),
        "files": [document(file) for file in needed_files()],
    }


def scene_facts(scene: Any) -> dict[str, Any]:
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
    return sorted(thing.name for thing in scene.objects if thing.type == "CAMERA")


def samples(scene: Any) -> int | None:
    """Samples of a pixel, by the scene's engine; None: it has none."""
    if scene.render.engine == "CYCLES":
        return int(scene.cycles.samples)
    if scene.render.engine.startswith("BLENDER_EEVEE"):
        return int(scene.eevee.taa_render_samples)
    return None


def _faces(things: Any) -> int:
    return sum(len(thing.data.polygons) for thing in things if thing.type == "MESH" and thing.data is not None)
