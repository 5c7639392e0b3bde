"""A scene that names what is none of its business: `python hostile_scene.py FILE SECRET`, with bpy.

SECRET becomes a scene of somebody else's, which the hostile one links by its absolute path.
"""

import sys
from pathlib import Path

import bpy


def main(path: str, secret: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_uv_sphere_add()
    hidden = bpy.context.object
    hidden.name = "SecretBall"
    painted(hidden, "/srv/secret/wood.png")
    bpy.ops.object.camera_add()
    bpy.context.object.name = "SecretCamera"
    bpy.ops.wm.save_as_mainfile(filepath=secret)

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    painted(cube, "/etc/passwd")
    cube.modifiers.new("moved", "MESH_CACHE").filepath = "//../../../../../etc/hosts"
    bpy.ops.object.camera_add()
    bpy.context.scene.camera = bpy.context.object
    with bpy.data.libraries.load(secret, link=True) as (_, wanted):
        wanted.objects = ["SecretBall", "SecretCamera"]
    for each in wanted.objects:
        bpy.context.collection.objects.link(each)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False)


def painted(thing: bpy.types.Object, path: str) -> None:
    material = bpy.data.materials.new("Painted")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("picture", 4, 4)
    node.image.source = "FILE"
    node.image.filepath = path
    thing.data.materials.append(material)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
