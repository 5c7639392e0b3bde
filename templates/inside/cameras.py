"""Which camera a frame is seen by; a scene without one gets one that frames everything."""

from math import atan, tan
from typing import Any

import bpy
from mathutils import Vector

from inside.bounds import Box, seen_boxes, union
from inside.facts import camera_names
from inside.faults import SceneFault, listed, no_such

#: From the front, a little from the right and above: how a product is shown.
DIRECTION = Vector((0.62, -1.0, 0.55)).normalized()
MARGIN = 1.08


class Cameras:
    """The cameras of a scene: `look(None)` is the scene's own, which markers on the timeline may change."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._own = scene.camera
        self._markers = [(marker, marker.camera) for marker in scene.timeline_markers if marker.camera]

    def look(self, name: str | None) -> None:
        """See the next frames by the camera of that name. Raises SceneFault when there is none."""
        for marker, camera in self._markers:
            marker.camera = camera if name is None else None
        self._scene.camera = self._own if name is None else find_camera(self._scene, name)


def find_camera(scene: Any, name: str) -> Any:
    thing = scene.objects.get(name)
    if thing is None:
        raise no_such("camera", name, camera_names(scene))
    if thing.type != "CAMERA":
        raise SceneFault(f"{name!r} is no camera. There is: {listed(camera_names(scene))}.")
    return thing


def ensure_camera(scene: Any, notes: list[str]) -> None:
    """Have the scene seen by some camera: its own, the first one by name, or a new one that frames everything."""
    _tell_of_darkness(scene, notes)
    if scene.camera is not None or any(marker.camera for marker in scene.timeline_markers):
        return
    names = camera_names(scene)
    if names:
        scene.camera = scene.objects[names[0]]
        notes.append(f"The scene has no active camera; the first one, {names[0]!r}, is used.")
        return
    boxes = seen_boxes(scene.view_layers[0])
    scene.camera = add_camera(scene, boxes)
    notes.append(
        "The scene has no camera; one that frames everything is used."
        if boxes
        else "The scene has no camera and nothing that could be seen."
    )


def add_camera(scene: Any, boxes: list[Box]) -> Any:
    """A camera that frames the boxes, from the front and a little above."""
    framed = union(_without_surroundings(boxes)) if boxes else Box(Vector((-1, -1, -1)), Vector((1, 1, 1)))
    lens = bpy.data.cameras.new("renderctl camera")
    camera = bpy.data.objects.new("renderctl camera", lens)
    scene.collection.objects.link(camera)
    camera.rotation_euler = DIRECTION.to_track_quat("Z", "Y").to_euler()
    distance = _distance(framed, camera.rotation_euler.to_matrix(), _half_angles(scene, lens))
    camera.location = framed.centre + DIRECTION * distance
    farthest = max((corner - camera.location).length for corner in union([*boxes, framed]).corners())
    lens.clip_start = max(1e-4, distance / 1000)
    lens.clip_end = farthest * 2 + 1
    return camera


def _distance(framed: Box, rotation: Any, half_angles: tuple[float, float]) -> float:
    """How far from its centre a camera sees every corner of the box."""
    right, up, back = rotation.col
    distance = 1e-3
    for corner in framed.corners():
        offset = corner - framed.centre
        for axis, half in ((right, half_angles[0]), (up, half_angles[1])):
            distance = max(distance, abs(offset.dot(axis)) / tan(half) * MARGIN + offset.dot(back))
    return float(distance)


def _half_angles(scene: Any, lens: Any) -> tuple[float, float]:
    """Half of the angle of view across and upwards: the sensor's width spans the longer side."""
    render = scene.render
    across, upwards = (
        render.resolution_x * render.pixel_aspect_x,
        render.resolution_y * render.pixel_aspect_y,
    )
    half = tan(lens.angle / 2)
    return atan(half * min(1.0, across / upwards)), atan(half * min(1.0, upwards / across))


def _without_surroundings(boxes: list[Box]) -> list[Box]:
    """The boxes without huge ground planes and skies, which would make everything else a dot."""
    rest = sorted(boxes, key=lambda box: box.diagonal)
    while len(rest) > 1:
        others = union(rest[:-1])
        largest = rest[-1]
        ratio = largest.diagonal / max(others.diagonal, 1e-9)
        flat = largest.sides[0] < 0.02 * largest.sides[2]
        if not (ratio > 3 and flat) and not (ratio > 8 and largest.holds(others)):
            break
        rest.pop()
    return rest


def _tell_of_darkness(scene: Any, notes: list[str]) -> None:
    if scene.render.engine == "BLENDER_WORKBENCH" or any(thing.type == "LIGHT" for thing in scene.objects):
        return
    if scene.world is None or (not _has_nodes(scene.world) and max(scene.world.color) == 0):
        notes.append("The scene has no lamp and no world; what does not glow by itself is black.")


def _has_nodes(world: Any) -> bool:
    return world.node_tree is not None and len(world.node_tree.nodes) > 0
