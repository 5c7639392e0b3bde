"""The tin robot of the example: a linked library of its own, with its own small movements."""

from dataclasses import dataclass
from math import cos, pi, radians, sin
from pathlib import Path

import bpy
from materials import glow, painted, plain
from motion import keys
from shapes import Builder, Place, ball, bellows, disc, lathe, ring, wire

COLLECTION = "Tin Robot"
FORWARD = (pi / 2, 0.0, 0.0)  #: turns what points up to the front


@dataclass(frozen=True)
class Palette:
    paint: bpy.types.Material
    teal: bpy.types.Material
    cream: bpy.types.Material
    red: bpy.types.Material
    brass: bpy.types.Material
    steel: bpy.types.Material
    rubber: bpy.types.Material
    black: bpy.types.Material
    eye: bpy.types.Material
    lamp: bpy.types.Material


def make_palette(textures: Path, blend_folder: Path) -> Palette:
    return Palette(
        paint=painted("Paint", textures / "robot_paint.png", textures / "robot_wear.png", blend_folder),
        teal=plain("Teal", (0.008, 0.17, 0.185), roughness=0.25, coat_weight=0.3),
        cream=plain("Cream", (0.84, 0.70, 0.45), roughness=0.3, coat_weight=0.3),
        red=plain("Red", (0.50, 0.018, 0.008), roughness=0.25, coat_weight=0.3),
        brass=plain("Brass", (0.85, 0.56, 0.22), metallic=1.0, roughness=0.27),
        steel=plain("Steel", (0.55, 0.55, 0.56), metallic=1.0, roughness=0.28),
        rubber=plain("Rubber", (0.025, 0.024, 0.026), roughness=0.5),
        black=plain("Glossy Black", (0.008, 0.009, 0.012), roughness=0.06, coat_weight=1.0),
        eye=glow("Eye", (1.0, 0.50, 0.10), 2.0),
        lamp=glow("Lamp", (1.0, 0.04, 0.02), 0.6),
    )


def build_robot(palette: Palette, frames: int) -> bpy.types.Collection:
    """The robot, 2.7 high, standing on z = 0, its movements looping every `frames` frames."""
    collection = bpy.data.collections.new(COLLECTION)
    bpy.context.scene.collection.children.link(collection)
    builder = Builder(collection)
    root = builder.add("Robot", None, None, Place())
    for side in (-1, 1):
        _leg(builder, palette, root, side)
    _body(builder, palette, root)
    _head(builder, palette, root, frames)
    _key(builder, palette, root, frames)
    _arm(
        builder,
        palette,
        root,
        -1,
        [(1, 2.25), (frames // 4 + 1, 2.6), (frames // 2 + 1, 2.25), (3 * frames // 4 + 1, 2.6), (frames + 1, 2.25)],
    )
    _arm(builder, palette, root, 1, [(1, 0.42), (frames // 2 + 1, 0.32), (frames + 1, 0.42)])
    return collection


def _leg(builder: Builder, palette: Palette, root: bpy.types.Object, side: int) -> None:
    x = side * 0.29
    builder.box("Sole", (0.44, 0.68, 0.09), 0.04, palette.rubber, Place((x, -0.08, 0.045), parent=root))
    builder.box("Foot", (0.40, 0.62, 0.17), 0.075, palette.red, Place((x, -0.08, 0.15), parent=root))
    builder.box("Toe Cap", (0.30, 0.06, 0.10), 0.025, palette.brass, Place((x, -0.385, 0.145), parent=root))
    builder.add("Leg", bellows(0.155, 0.42, 5), palette.rubber, Place((x, 0.02, 0.20), parent=root))
    builder.add("Ankle", ring(0.15, 0.035), palette.steel, Place((x, 0.02, 0.24), parent=root))


def _body(builder: Builder, palette: Palette, root: bpy.types.Object) -> None:
    builder.box("Hip", (0.94, 0.60, 0.14), 0.05, palette.steel, Place((0, 0.02, 0.64), parent=root))
    builder.box("Body", (1.14, 0.80, 1.00), 0.13, palette.paint, Place((0, 0.02, 1.17), parent=root))
    builder.box("Chest Rim", (0.80, 0.05, 0.46), 0.025, palette.brass, Place((0, -0.385, 1.36), parent=root))
    builder.box("Chest", (0.75, 0.05, 0.41), 0.02, palette.cream, Place((0, -0.395, 1.36), parent=root))
    for x, needle in ((-0.18, 0.7), (0.18, -0.5)):
        _gauge(builder, palette, Place((x, -0.42, 1.41), FORWARD, root), needle)
    for x, material in ((-0.2, palette.lamp), (0.0, palette.eye), (0.2, palette.lamp)):
        builder.add("Socket", ring(0.042, 0.014), palette.brass, Place((x, -0.42, 1.215), FORWARD, root))
        builder.add("Lamp", ball(0.038), material, Place((x, -0.425, 1.215), parent=root))
    for x in (-0.44, 0.44):
        for z in (0.80, 1.54):
            builder.add("Rivet", ball(0.026), palette.brass, Place((x, -0.38, z), parent=root))


def _gauge(builder: Builder, palette: Palette, place: Place, needle: float) -> None:
    x, y, z = place.at
    builder.add("Gauge", disc(0.125, 0.03, 0.012), palette.black, place)
    builder.add("Dial", disc(0.10, 0.034, 0.004), palette.cream, place)
    builder.add("Bezel", ring(0.115, 0.02), palette.brass, place.moved((x, y - 0.03, z)))
    at = place.moved((x, y - 0.038, z))
    builder.add(
        "Needle",
        wire([(-0.03 * sin(needle), -0.03 * cos(needle), 0), (0.08 * sin(needle), 0.08 * cos(needle), 0)], 0.008),
        palette.red,
        at,
    )
    builder.add("Hub", ball(0.02), palette.brass, at)


def _head(builder: Builder, palette: Palette, root: bpy.types.Object, frames: int) -> None:
    builder.add("Neck", bellows(0.22, 0.16, 3), palette.rubber, Place((0, 0.02, 1.63), parent=root))
    head = builder.add("Head", None, None, Place((0, 0.02, 1.76), parent=root))
    builder.box("Skull", (0.88, 0.66, 0.56), 0.15, palette.teal, Place((0, 0, 0.29), parent=head))
    builder.box("Collar", (0.66, 0.50, 0.06), 0.025, palette.brass, Place((0, 0, 0.005), parent=head))
    builder.box("Visor Rim", (0.74, 0.05, 0.32), 0.024, palette.brass, Place((0, -0.315, 0.34), parent=head))
    builder.box("Visor", (0.69, 0.06, 0.27), 0.024, palette.black, Place((0, -0.32, 0.34), parent=head))
    for side in (-1, 1):
        _eye_and_ear(builder, palette, head, side)
    for i in range(5):
        builder.box(
            "Grille", (0.035, 0.04, 0.09), 0.012, palette.brass, Place((0.075 * (i - 2), -0.32, 0.105), parent=head)
        )
    _antenna(builder, palette, head)
    keys(head, "rotation_euler", 2, [(1, -0.10), (frames // 2 + 1, 0.10), (frames + 1, -0.10)])
    keys(
        head, "rotation_euler", 1, [(1, 0.0), (frames // 4 + 1, 0.06), (3 * frames // 4 + 1, -0.06), (frames + 1, 0.0)]
    )


def _eye_and_ear(builder: Builder, palette: Palette, head: bpy.types.Object, side: int) -> None:
    eye = Place((side * 0.17, -0.35, 0.345), FORWARD, head)
    builder.add("Eye Rim", ring(0.092, 0.02), palette.steel, eye)
    builder.add(
        "Eye", lathe([(0.085, -0.01), (0.082, 0.012), (0.06, 0.026), (0.03, 0.034), (0, 0.036)]), palette.eye, eye
    )
    builder.add("Pupil", ball(0.03), palette.black, eye.moved((side * 0.17, -0.372, 0.345)))
    outward = (0, side * pi / 2, 0)
    builder.add("Ear", disc(0.155, 0.10, 0.03), palette.cream, Place((side * 0.42, 0, 0.30), outward, head))
    builder.add("Ear Ring", ring(0.09, 0.022), palette.brass, Place((side * 0.52, 0, 0.30), outward, head))
    builder.add("Ear Cap", ball(0.05), palette.red, Place((side * 0.525, 0, 0.30), outward, head))


def _antenna(builder: Builder, palette: Palette, head: bpy.types.Object) -> None:
    coil = [(0.05 * cos(t / 12 * 2 * pi), 0.05 * sin(t / 12 * 2 * pi), 0.60 + 0.0028 * t) for t in range(60)]
    builder.add(
        "Antenna Base",
        lathe([(0.13, 0.555), (0.12, 0.585), (0.07, 0.605), (0, 0.61)]),
        palette.brass,
        Place(parent=head),
    )
    builder.add("Spring", wire(coil, 0.012), palette.steel, Place(parent=head))
    builder.add("Antenna", wire([(0, 0, 0.58), (0, 0, 0.84)], 0.016), palette.steel, Place(parent=head))
    builder.add("Antenna Ball", ball(0.075), palette.lamp, Place((0, 0, 0.89), parent=head))


def _key(builder: Builder, palette: Palette, root: bpy.types.Object, frames: int) -> None:
    """The wind-up key in the back."""
    builder.add("Key Plate", disc(0.17, 0.04, 0.015), palette.brass, Place((0, 0.415, 1.27), (-pi / 2, 0, 0), root))
    key = builder.add("Key", None, None, Place((0, 0.42, 1.27), parent=root))
    builder.add("Shaft", wire([(0, 0, 0), (0, 0.30, 0)], 0.045), palette.brass, Place(parent=key))
    for side in (-1, 1):
        builder.add("Bow", ring(0.13, 0.042), palette.brass, Place((side * 0.145, 0.34, 0), FORWARD, key))
    keys(key, "rotation_euler", 1, [(1, 0.0), (frames + 1, 2 * pi)], steady=True)


def _arm(builder: Builder, palette: Palette, root: bpy.types.Object, side: int, swing: list[tuple[int, float]]) -> None:
    """An arm, made hanging down; `swing` lifts it outwards: (frame, radians)."""
    builder.add(
        "Shoulder Plate",
        disc(0.19, 0.06, 0.02),
        palette.brass,
        Place((side * 0.545, 0.02, 1.45), (0, side * pi / 2, 0), root),
    )
    arm = builder.add("Arm", None, None, Place((side * 0.66, 0.02, 1.45), parent=root))
    builder.add("Shoulder", ball(0.15), palette.teal, Place(parent=arm))
    builder.add("Upper Arm", bellows(0.10, 0.32, 5), palette.rubber, Place((0, 0, -0.44), parent=arm))
    elbow = builder.add("Elbow", None, None, Place((0, 0, -0.46), (radians(-24), 0, 0), arm))
    builder.add("Joint", ball(0.115), palette.steel, Place(parent=elbow))
    sleeve = [(0, -0.40), (0.13, -0.40), (0.145, -0.38), (0.145, -0.35), (0.11, -0.08), (0.09, -0.04)]
    builder.add("Sleeve", lathe(sleeve), palette.teal, Place(parent=elbow))
    builder.add("Cuff", ring(0.135, 0.028), palette.cream, Place((0, 0, -0.375), parent=elbow))
    builder.add("Wrist", ball(0.085), palette.steel, Place((0, 0, -0.43), parent=elbow))
    for way in (-1, 1):
        claw = [(way * (0.02 + 0.115 * sin(t * pi / 20)), 0, -0.45 - 0.013 * t) for t in range(1, 18)]
        builder.add("Claw", wire(claw, 0.033), palette.brass, Place(parent=elbow))
    keys(arm, "rotation_euler", 1, [(frame, -side * lift) for frame, lift in swing])
