"""A scene that needs files by relative and absolute paths, a linked library that needs one too: `… FOLDER`, with bpy.

Written as two folders beside each other: project/shots/shot.blend, and assets/ that it reaches by absolute paths.
"""

import sys
from pathlib import Path
from typing import Any

import bpy


def image(path: Path, colour: tuple[float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = bpy.data.images.new(path.stem, 8, 8)
    made.pixels = [*colour, 1.0] * 64
    made.filepath_raw, made.file_format = str(path), "PNG"
    made.save()
    bpy.data.images.remove(made)


def textured_box(name: str, x: float, path: str) -> Any:
    bpy.ops.mesh.primitive_cube_add(size=1.2, location=(x, 0, 0))
    box = bpy.context.object
    box.name = name
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes = material.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(path)
    glow = nodes.new("ShaderNodeEmission")
    material.node_tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    target = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    material.node_tree.links.new(glow.outputs["Emission"], target.inputs["Surface"])
    box.data.materials.append(material)
    return box


def empty() -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


def library(folder: Path, colour: tuple[float, float, float], texture: str) -> None:
    """A library with one box, which has a texture beside itself."""
    empty()
    image(folder / texture, colour)
    textured_box(folder.name, 0.0, str(folder / texture))
    path = folder / f"{folder.name}.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


def link(path: str, name: str, x: float) -> None:
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = [name]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    holder = bpy.data.objects.new(f"{name} holder", wanted.objects[0].data)
    holder.location = (x, 0, 1.5)
    bpy.context.scene.collection.objects.link(holder)


def main(folder: Path) -> None:
    shots, assets = folder / "project" / "shots", folder / "assets"
    library(folder / "project" / "near", (0.1, 0.8, 0.2), "green.png")
    library(assets / "far", (0.9, 0.2, 0.7), "pink.png")
    image(folder / "project" / "textures" / "blue.png", (0.1, 0.2, 0.9))
    image(assets / "orange.png", (1.0, 0.5, 0.0))
    scene = empty()
    shots.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(shots / "shot.blend"))
    textured_box("relative", -1.5, str(folder / "project" / "textures" / "blue.png"))
    link(str(folder / "project" / "near" / "near.blend"), "near", -1.5)
    bpy.ops.file.make_paths_relative()
    textured_box("absolute", 1.5, str(assets / "orange.png"))
    link(str(assets / "far" / "far.blend"), "far", 1.5)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -8, 0.5), (1.5707963, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 54, 100
    bpy.ops.wm.save_as_mainfile(filepath=str(shots / "shot.blend"), relative_remap=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
