"""The rival: one bare Blender process. `python bare_blender.py SCENE FIRST LAST FOLDER`.

Written the way a careful person would write it: one process, persistent data, one PNG a frame, a quick end.
"""

import os
import sys

import bpy

scene_file, first, last, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
bpy.ops.wm.open_mainfile(filepath=scene_file, load_ui=False, use_scripts=False)
scene = bpy.context.scene
scene.render.use_persistent_data = True
scene.render.image_settings.file_format = "PNG"
for frame in range(first, last + 1):
    scene.frame_set(frame)
    scene.render.filepath = os.path.join(folder, f"{frame:04d}.png")  # noqa: PTH118
    bpy.ops.render.render(write_still=True)
sys.stdout.flush()
os._exit(0)
