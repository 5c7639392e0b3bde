"""A scene with its library and textures, all by relative paths: `python folder_scene.py SCENE`, with bpy."""

import sys
from pathlib import Path

import bpy


def main(scene: Path) -> None:
    root = scene.parent.parent
    library = root / "libs/set.blend"
    library.parent.mkdir(parents=True)
    begin(library)
    painted(root / "libs/tex/set.png", "//tex/set.png").name = "Set"
    bpy.ops.wm.save_mainfile()

    scene.parent.mkdir(parents=True)
    begin(scene)
    painted(root / "tex/wood.png", "//../tex/wood.png")
    bpy.ops.object.camera_add()
    bpy.context.scene.camera = bpy.context.object
    with bpy.data.libraries.load(str(library), link=True, relative=True) as (_, wanted):
        wanted.objects = ["Set"]
    bpy.context.collection.objects.link(wanted.objects[0])
    bpy.ops.wm.save_mainfile()


def begin(path: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


def painted(file: Path, named: str) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add()
    material = bpy.data.materials.new("Painted")
    material.use_nodes = True
    image = bpy.data.images.new(file.name, 4, 4)
    image.filepath_raw, image.file_format = str(file), "PNG"
    image.save()
    image.filepath = named
    material.node_tree.nodes.new("ShaderNodeTexImage").image = image
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


if __name__ == "__main__":
    main(Path(sys.argv[1]))
