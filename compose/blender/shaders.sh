# What EEVEE compiles for its first frame, in /added/opt/blender/shaders: sessions begin with a copy (templates/session.py).
# It is good for processors like the one that builds; another one compiles anew.
folder=/added/opt/blender/shaders
mkdir -p $folder
[ -z "${CYCLES_ONLY:-}" ] || exit 0
HOME=/tmp TMPDIR=/tmp MESA_SHADER_CACHE_DIR=$folder /opt/blender/bin/python - <<'PYTHON' || echo "EEVEE can not render here: no shaders are kept."
import os

import bpy

scene = bpy.context.scene
try:
    scene.render.engine = "BLENDER_EEVEE_NEXT"  # of 4.2 to 4.5
except TypeError:
    scene.render.engine = "BLENDER_EEVEE"
scene.render.resolution_x = scene.render.resolution_y = 16
scene.eevee.taa_render_samples = 1
bpy.ops.render.render()
os._exit(0)
PYTHON
