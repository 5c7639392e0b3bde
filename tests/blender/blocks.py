"""What the scenes of these tests are built from. Runs inside Blender."""

from pathlib import Path
from typing import Any

import bpy

SIZE = (64, 36)


def begin() -> Any:
    """An empty scene that renders in a few milliseconds."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = SIZE
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.frame_start, scene.frame_end = 1, 5
    return scene


def save(path: Path) -> None:
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


def add(thing: Any) -> Any:
    bpy.context.scene.collection.objects.link(thing)
    return thing


def box(name: str, at: tuple[float, float, float] = (0, 0, 0), size: float = 1.0) -> Any:
    half = size / 2
    corners = [(x, y, z) for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    mesh = bpy.data.meshes.new(name)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    thing = add(bpy.data.objects.new(name, mesh))
    thing.location = at
    return thing


def camera(name: str, at: tuple[float, float, float] = (0, -5, 0), *, active: bool = True) -> Any:
    thing = add(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
    thing.location = at
    thing.rotation_euler = (1.5707963, 0, 0)
    if active:
        bpy.context.scene.camera = thing
    return thing


def sun() -> None:
    thing = add(bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN")))
    thing.data.energy = 3
    thing.rotation_euler = (0.9, 0, 0.5)


def painted(path: Path, colour: tuple[float, float, float, float]) -> Any:
    """An image file, and the datablock of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.name, 4, 4)
    image.pixels = colour * 16
    image.filepath_raw = str(path)
    image.file_format = "PNG"
    image.save()
    return image


def glowing(thing: Any, image: Any) -> None:
    """Have the object shine in the colours of the image, whatever the light."""
    material = bpy.data.materials.new(f"{thing.name} glows")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, glow, out = (nodes.new(f"ShaderNode{kind}") for kind in ("TexImage", "Emission", "OutputMaterial"))
    texture.image = image
    links.new(texture.outputs[0], glow.inputs[0])
    links.new(glow.outputs[0], out.inputs[0])
    thing.data.materials.append(material)
