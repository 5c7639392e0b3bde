"""Bounding boxes of rendered objects, in world space, with modifiers and instances."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mathutils import Vector

#: Types of objects that can be rendered.
RENDERED_TYPES = {
    "MESH",
    "CURVE",
    "SURFACE",
    "META",
    "FONT",
    "VOLUME",
    "CURVES",
    "POINTCLOUD",
    "HAIR",
    "GPENCIL",
    "GREASEPENCIL",
}


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in world space, in Blender units."""

    low: Vector
    high: Vector

    @classmethod
    def around(cls, points: Iterable[Vector]) -> "Box":
        """Return the box around the points."""
        columns = list(zip(*points, strict=True))
        return cls(Vector([min(column) for column in columns]), Vector([max(column) for column in columns]))

    @property
    def centre(self) -> Vector:
        """The centre of the box."""
        return (self.low + self.high) / 2

    @property
    def diagonal(self) -> float:
        """The length of the diagonal."""
        return float((self.high - self.low).length)

    @property
    def sides(self) -> list[float]:
        """The lengths of the three sides, shortest first."""
        return sorted(self.high - self.low)

    def corners(self) -> list[Vector]:
        """Return the eight corners."""
        low, high = self.low, self.high
        return [Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)]

    def holds(self, other: "Box") -> bool:
        """Return whether the other box is inside."""
        pairs = zip(self.low, other.low, strict=True), zip(self.high, other.high, strict=True)
        return all(own <= others for own, others in pairs[0]) and all(own >= others for own, others in pairs[1])


def union(boxes: Iterable[Box]) -> Box:
    """Return the box around all boxes."""
    return Box.around([corner for box in boxes for corner in (box.low, box.high)])


def rendered_boxes(layer: Any, only: set[str] | None = None) -> list[Box]:
    """Return a box for each rendered object or instance of a view layer (`only`: of the objects with these names)."""
    layer.update()
    return [box for name, box in _boxes(layer.depsgraph) if only is None or name in only]


def _boxes(graph: Any) -> Iterator[tuple[str, Box]]:
    for instance in graph.object_instances:
        thing = instance.object
        root = instance.parent if instance.is_instance and instance.parent else thing
        if thing.type not in RENDERED_TYPES or thing.hide_render or root.hide_render:
            continue
        corners = [Vector(corner) for corner in thing.bound_box]
        if any(corner != corners[0] for corner in corners):
            matrix = instance.matrix_world.copy()
            yield root.original.name, Box.around([matrix @ corner for corner in corners])
