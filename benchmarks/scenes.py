"""The scenes of the benchmarks, made by the bpy module that is beside us. `python -m benchmarks.scenes FOLDER`.

tiny.blend  a cube: 64x64, one sample, no denoising; what is left is what the farm adds
mid.blend   three subdivided monkeys over a displaced ground, 480,000 faces, 160x90, 4 samples
"""

import math
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np


def make_tiny(path: Path) -> None:
    scene = _empty(resolution=(64, 64), samples=1)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    for frame, angle in ((1, 0.0), (1000, 60.0)):
        cube.rotation_euler = (0, 0, angle)
        cube.keyframe_insert("rotation_euler", frame=frame)
    _camera(scene, (5, -5, 4), (1.05, 0.0, 0.785))
    _sun(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)


def make_mid(path: Path) -> None:
    scene = _empty(resolution=(160, 90), samples=4)
    materials = [_material(f"material {index}", index) for index in range(3)]
    ground = bpy.data.objects.new("ground", _terrain(320))
    ground.data.materials.append(materials[0])
    scene.collection.objects.link(ground)
    for index in range(3):
        bpy.ops.mesh.primitive_monkey_add(size=2.0)
        head = bpy.context.object
        head.location = (math.cos(index * 2.1) * 2.6, math.sin(index * 2.1) * 2.6, 0.9)
        head.modifiers.new("smooth", "SUBSURF").render_levels = 4
        head.data.materials.append(materials[index])
        if index == 0:
            for frame, angle in ((1, 0.0), (81, math.tau)):
                head.rotation_euler = (0, 0, angle)
                head.keyframe_insert("rotation_euler", frame=frame)
    camera = _camera(scene, (3.2, -8.3, 5), (1.12, 0, 0.37))
    for frame in range(1, 82, 8):
        angle = -1.2 + frame * 0.02
        camera.location = (math.cos(angle) * 9, math.sin(angle) * 9, 5)
        camera.rotation_euler = (1.12, 0, angle + math.pi / 2)
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    _sun(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)


def _empty(*, resolution: tuple[int, int], samples: int) -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", samples, False
    scene.render.resolution_x, scene.render.resolution_y = resolution
    return scene


def _camera(scene: Any, location: tuple[float, ...], rotation: tuple[float, ...]) -> Any:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = location, rotation
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def _sun(scene: Any) -> None:
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.6, 0.3, 0.2)
    scene.collection.objects.link(sun)


def _material(name: str, seed: int) -> Any:
    noise = np.random.default_rng(seed)
    size = 2048
    pixels = np.ones((size, size, 4), np.float32)
    pixels[..., :3] = np.kron(noise.random((size // 32, size // 32, 3), dtype=np.float32), np.ones((32, 32, 1)))
    image = bpy.data.images.new(name, size, size)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture, place = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeTexCoord")
    texture.image = image
    links.new(place.outputs["Generated"], texture.inputs["Vector"])
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def _terrain(side: int) -> Any:
    xs, ys = np.meshgrid(np.linspace(-10, 10, side + 1), np.linspace(-10, 10, side + 1))
    heights = sum(0.5**k * np.sin(xs * 2**k * 0.6 + k) * np.cos(ys * 2**k * 0.6 + 2 * k) for k in range(5)) * 0.6 - 1.2
    corners = np.stack([xs, ys, heights], -1).reshape(-1, 3)
    index = np.arange(side * side)
    row, column = index // side, index % side
    first = row * (side + 1) + column
    quads = np.stack([first, first + 1, first + side + 2, first + side + 1], 1)
    mesh = bpy.data.meshes.new("terrain")
    mesh.from_pydata(corners.tolist(), [], quads.tolist())
    return mesh


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make_tiny(target / "tiny.blend")
    make_mid(target / "mid.blend")
