"""A scene that renders quickly: `python quick_scene.py FILE [SAMPLES]`, with bpy."""

import sys

import bpy


def main(path: str, samples: int) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.object.keyframe_insert("location", frame=1)
    bpy.context.object.location.x = 2.0
    bpy.context.object.keyframe_insert("location", frame=100)
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.3, 0.0))
    bpy.ops.object.camera_add(location=(0.0, -6.0, 0.0), rotation=(1.5707963, 0.0, 0.0))
    scene = bpy.context.scene
    scene.camera = bpy.context.object
    scene.frame_start, scene.frame_end = 1, 100
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.cycles.samples = samples
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    bpy.ops.wm.save_as_mainfile(filepath=path)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
