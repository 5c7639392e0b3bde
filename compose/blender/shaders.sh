# What EEVEE compiles for its first frame, in /added/opt/blender/shaders: sessions begin with a copy (templates/session.py).
# It is good for processors like the one that builds; another one compiles anew.
# Blender has to load first, with the libraries that the image has and no other, and be what its label says.
loaded=$(HOME=/tmp /opt/blender/bin/python -c 'import bpy, os; print(bpy.app.version_string, flush=True); os._exit(0)' | tail -n 1)
[ "${loaded%% *}" = "$BLENDER_VERSION" ] || { echo "This is no Blender $BLENDER_VERSION: $loaded" >&2; exit 1; }

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
