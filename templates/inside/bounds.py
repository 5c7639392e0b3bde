"""Boxes around what is seen, in world space, with modifiers and instances."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mathutils import Vector

#: What can be seen in a picture.
SEEN = {"MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "CURVES", "POINTCLOUD", "HAIR", "GPENCIL", "GREASEPENCIL"}


@dataclass(frozen=True)
class Box:
    """An axis-aligned box."""

    low: Vector
    high: Vector

    @classmethod
    def around(cls, points: Iterable[Vector]) -> "Box":
        columns = list(zip(*points, strict=True))
        return cls(Vector([min(column) for column in columns]), Vector([max(column) for column in columns]))

    @property
    def centre(self) -> Vector:
        return (self.low + self.high) / 2

    @property
    def diagonal(self) -> float:
        return float((self.high - self.low).length)

    @property
    def sides(self) -> list[float]:
        return sorted(self.high - self.low)

    def corners(self) -> list[Vector]:
        low, high = self.low, self.high
        return [Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)]

    def holds(self, other: "Box") -> bool:
        pairs = zip(self.low, other.low, strict=True), zip(self.high, other.high, strict=True)
        return all(mine <= theirs for mine, theirs in pairs[0]) and all(mine >= theirs for mine, theirs in pairs[1])


def union(boxes: Iterable[Box]) -> Box:
    return Box.around([corner for box in boxes for corner in (box.low, box.high)])


def seen_boxes(layer: Any, only: set[str] | None = None) -> list[Box]:
    """A box for each thing that is rendered in a view layer (`only`: of these objects and their instances)."""
    layer.update()
    return [box for name, box in _boxes(layer.depsgraph) if only is None or name in only]


def _boxes(graph: Any) -> Iterator[tuple[str, Box]]:
    for instance in graph.object_instances:
        thing = instance.object
        root = instance.parent if instance.is_instance and instance.parent else thing
        if thing.type not in SEEN or thing.hide_render or root.hide_render:
            continue
        corners = [Vector(corner) for corner in thing.bound_box]
        if any(corner != corners[0] for corner in corners):
            matrix = instance.matrix_world.copy()
            yield root.original.name, Box.around([matrix @ corner for corner in corners])
