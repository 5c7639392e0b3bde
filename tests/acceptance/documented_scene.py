"""The scene that the docs' commands speak of: shot.blend, with a Placeholder and two cameras; hero.glb: `… FOLDER`."""

import sys
from pathlib import Path

import bpy


def main(folder: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.export_scene.gltf(filepath=str(folder / "hero.glb"))
    bpy.context.object.name = "Placeholder"
    for name, x in (("Camera", 0.0), ("Side", 3.0)):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        camera.location, camera.rotation_euler = (x, -6, 0), (1.5707963, 0, 0)
        scene.collection.objects.link(camera)
    scene.camera = bpy.data.objects["Camera"]
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 32
    scene.frame_start, scene.frame_end = 1, 2
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
