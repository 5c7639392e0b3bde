"""Meshes of simple shapes, and objects made of them. Z is up, -Y is the front; lengths in Blender units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin

import bmesh
import bpy

Vector = tuple[float, float, float]
ORIGIN: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Place:
    """Where an object stands, within `parent` if it has one."""

    at: Vector = ORIGIN
    turned: Vector = ORIGIN  #: radians about X, Y, Z
    parent: bpy.types.Object | None = None
    scale: float = 1.0

    def moved(self, at: Vector) -> "Place":
        return replace(self, at=at)


@dataclass(frozen=True)
class Builder:
    """Puts named objects into one collection."""

    collection: bpy.types.Collection

    def add(
        self, name: str, shape: bpy.types.ID | None, material: bpy.types.Material | None, place: Place
    ) -> bpy.types.Object:
        """An object of `shape` (None: an empty to turn others with)."""
        thing = bpy.data.objects.new(name, shape)
        thing.location, thing.rotation_euler, thing.parent = place.at, place.turned, place.parent
        thing.scale = (place.scale,) * 3
        if material is not None:
            shape.materials.append(material)
        self.collection.objects.link(thing)
        return thing

    def box(
        self, name: str, size: Vector, round_: float, material: bpy.types.Material, place: Place
    ) -> bpy.types.Object:
        """A box with edges rounded by `round_`."""
        thing = self.add(name, box(size), material, place)
        bevel = thing.modifiers.new("Round", "BEVEL")
        bevel.width, bevel.segments, bevel.harden_normals = round_, 5, True
        return thing


def box(size: Vector) -> bpy.types.Mesh:
    """A box whose sides (front, right, back, left) show a quarter each of a texture's width."""
    x, y, z = (length / 2 for length in size)
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    mesh = bpy.data.meshes.new("Box")
    sides = [(i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4) for i in range(4)]
    mesh.from_pydata([(a, b, h) for h in (-z, z) for a, b in corners], [], [*sides, (3, 2, 1, 0), (4, 5, 6, 7)])
    unwrapped = [uv for i in range(4) for uv in ((i / 4, 0), ((i + 1) / 4, 0), ((i + 1) / 4, 1), (i / 4, 1))]
    lids = [(u, v) for _ in range(2) for u, v in ((0.02, 0.4), (0.23, 0.4), (0.23, 0.9), (0.02, 0.9))]
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", [number for uv in [*unwrapped, *lids] for number in uv])
    return smooth(mesh)


def lathe(profile: Sequence[tuple[float, float]], around: int = 48) -> bpy.types.Mesh:
    """The profile's (radius, height) points turned about Z."""
    angles = [2 * pi * i / around for i in range(around)]
    points = [(r * cos(a), r * sin(a), z) for r, z in profile for a in angles]
    faces = [
        (
            row * around + i,
            row * around + (i + 1) % around,
            (row + 1) * around + (i + 1) % around,
            (row + 1) * around + i,
        )
        for row in range(len(profile) - 1)
        for i in range(around)
    ]
    mesh = bpy.data.meshes.new("Lathe")
    mesh.from_pydata(points, [], faces)
    return smooth(welded(mesh))


def ball(radius: float) -> bpy.types.Mesh:
    return lathe([(radius * sin(pi * i / 24), -radius * cos(pi * i / 24)) for i in range(25)])


def disc(radius: float, thickness: float, round_: float) -> bpy.types.Mesh:
    """A coin lying on z = 0, with rounded rims."""
    low = [
        (radius - round_ + round_ * sin(a), round_ - round_ * cos(a)) for a in (0, pi / 8, pi / 4, 3 * pi / 8, pi / 2)
    ]
    high = [(r, thickness - z) for r, z in reversed(low)]
    flat = radius - 2 * round_
    return lathe([(0, 0), (flat, 0), *low, *high, (flat, thickness), (0, thickness)], around=96)


def bellows(radius: float, length: float, folds: int) -> bpy.types.Mesh:
    """A ribbed hose from z = 0 to `length`."""
    steps = folds * 10
    return lathe(
        [(radius * (0.86 + 0.14 * cos(2 * pi * folds * i / steps)), length * i / steps) for i in range(steps + 1)]
    )


def ring(radius: float, thickness: float) -> bpy.types.Mesh:
    """A torus about Z."""
    turn = [2 * pi * i / 20 for i in range(21)]
    return lathe([(radius + thickness * cos(a), thickness * sin(a)) for a in turn], around=64)


def wire(points: Iterable[Vector], thickness: float) -> bpy.types.Curve:
    """A round wire along `points`."""
    curve = bpy.data.curves.new("Wire", "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution, curve.use_fill_caps = "3D", thickness, 4, True
    points = list(points)
    spline = curve.splines.new("POLY")
    spline.points.add(len(points) - 1)
    spline.points.foreach_set("co", [number for point in points for number in (*point, 1.0)])
    spline.use_smooth = True
    return curve


def monkey() -> bpy.types.Mesh:
    """Suzanne."""
    mesh = bpy.data.meshes.new("Suzanne")
    shape = bmesh.new()
    bmesh.ops.create_monkey(shape)
    shape.to_mesh(mesh)
    shape.free()
    return smooth(mesh)


def smooth(mesh: bpy.types.Mesh) -> bpy.types.Mesh:
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.update()
    return mesh


def welded(mesh: bpy.types.Mesh) -> bpy.types.Mesh:
    """Joins points that coincide, as at a lathe's axis."""
    shape = bmesh.new()
    shape.from_mesh(mesh)
    bmesh.ops.remove_doubles(shape, verts=shape.verts, dist=1e-6)
    shape.to_mesh(mesh)
    shape.free()
    return mesh
