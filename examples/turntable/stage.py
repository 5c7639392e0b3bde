"""The stage of the example: a backdrop, a terrazzo turntable, lights and a camera."""

from math import cos, pi, radians, sin
from pathlib import Path

import bpy
from materials import plain, relative, stone
from mathutils import Vector
from motion import keys
from shapes import Builder, Place, ball, disc, monkey, ring, smooth

TOP = 0.34  #: height of the turntable


def build_stage(textures: Path, blend_folder: Path, frames: int) -> bpy.types.Object:
    """Build it in the open scene; what stands on the returned empty turns once in `frames` frames."""
    builder = Builder(bpy.context.scene.collection)
    _backdrop(builder)
    table = _turntable(builder, stone("Terrazzo", textures / "terrazzo.png", blend_folder, 1.5))
    keys(table, "rotation_euler", 2, [(1, radians(-24)), (frames + 1, radians(-24) + 2 * pi)], steady=True)
    _keepsakes(builder, table)
    _world(textures / "studio.hdr", blend_folder)
    _lamp(builder, "Key", (-3.4, -3.6, 4.8), 1.4, 470, (1.0, 0.93, 0.84))
    _lamp(builder, "Fill", (4.6, -3.2, 2.4), 2.6, 50, (0.78, 0.88, 1.0))
    _lamp(builder, "Rim", (2.2, 2.6, 5.0), 1.2, 330, (1.0, 0.86, 0.72))
    _camera(builder)
    return table


def _backdrop(builder: Builder) -> None:
    """A floor that curves up into a wall."""
    bend = [(4.0 + 3.0 * sin(a), 3.0 - 3.0 * cos(a)) for a in (pi / 2 * i / 24 for i in range(25))]
    line = [(-14.0, 0.0), *bend, (7.0, 16.0)]
    mesh = bpy.data.meshes.new("Backdrop")
    rows = [(x, y, z) for y, z in line for x in (-24.0, 24.0)]
    mesh.from_pydata(rows, [], [(2 * i, 2 * i + 1, 2 * i + 3, 2 * i + 2) for i in range(len(line) - 1)])
    builder.add("Backdrop", smooth(mesh), plain("Apricot", (0.72, 0.25, 0.13), roughness=0.75), Place())


def _turntable(builder: Builder, terrazzo: bpy.types.Material) -> bpy.types.Object:
    dark = plain("Dark Base", (0.03, 0.028, 0.03), roughness=0.4)
    brass = plain("Stage Brass", (0.85, 0.56, 0.22), metallic=1.0, roughness=0.22)
    builder.add("Base", disc(1.30, 0.12, 0.03), dark, Place())
    table = builder.add("Turntable", None, None, Place((0, 0, 0)))
    builder.add("Slab", disc(1.42, TOP - 0.12, 0.035), terrazzo, Place((0, 0, 0.12), parent=table))
    builder.add("Inlay", ring(1.24, 0.016), brass, Place((0, 0, TOP - 0.006), parent=table))
    for i in range(48):
        a = 2 * pi * i / 48
        stud = Place((1.425 * cos(a), 1.425 * sin(a), 0.23), parent=table)
        builder.add("Stud", ball(0.03 if i % 4 else 0.05), brass, stud)
    return table


def _keepsakes(builder: Builder, table: bpy.types.Object) -> None:
    """A golden Suzanne and glass marbles, at the robot's feet."""
    gold = plain("Gold", (1.0, 0.66, 0.26), metallic=1.0, roughness=0.13)
    idol = builder.add(
        "Suzanne", monkey(), gold, Place((0.78, -0.66, TOP + 0.21), (radians(-20), 0, radians(24)), table, 0.27)
    )
    idol.modifiers.new("Smooth", "SUBSURF").render_levels = 3
    for name, colour, at, radius in (
        ("Ruby", (1.0, 0.20, 0.14), (-0.72, -0.72, 0), 0.17),
        ("Sea", (0.25, 0.85, 0.80), (-0.98, -0.36, 0), 0.12),
        ("Honey", (1.0, 0.66, 0.16), (0.55, 1.0, 0), 0.15),
    ):
        glass = plain(name, colour, roughness=0.0, transmission_weight=1.0)
        builder.add("Marble", ball(radius), glass, Place((at[0], at[1], TOP + radius), parent=table))


def _world(light: Path, blend_folder: Path) -> None:
    world = bpy.data.worlds.new("Studio")
    bpy.context.scene.world = world
    if world.node_tree is None:  # Blender before 5.0
        world.use_nodes = True
    nodes = world.node_tree.nodes
    around = nodes.new("ShaderNodeTexEnvironment")
    around.image = bpy.data.images.load(str(light))
    around.image.filepath = relative(light, blend_folder)
    background = next(node for node in nodes if node.type == "BACKGROUND")
    background.inputs["Strength"].default_value = 0.32
    world.node_tree.links.new(around.outputs["Color"], background.inputs["Color"])


def _lamp(
    builder: Builder,
    name: str,
    at: tuple[float, float, float],
    size: float,
    watts: float,
    colour: tuple[float, float, float],
) -> None:
    """A square soft light that looks at the robot's chest."""
    light = bpy.data.lights.new(name, "AREA")
    light.size, light.energy, light.color = size, watts, colour
    _look(builder.add(name, light, None, Place(at)), (0.0, 0.0, 1.5))


def _camera(builder: Builder) -> None:
    lens = bpy.data.cameras.new("Camera")
    lens.lens = 64
    camera = builder.add("Camera", lens, None, Place((0.0, -11.6, 3.2)))
    _look(camera, (0.0, 0.0, 1.50))
    lens.dof.use_dof, lens.dof.focus_distance, lens.dof.aperture_fstop = True, 11.4, 2.0
    bpy.context.scene.camera = camera


def _look(thing: bpy.types.Object, at: tuple[float, float, float]) -> None:
    thing.rotation_euler = (Vector(at) - thing.location).to_track_quat("-Z", "Y").to_euler()
