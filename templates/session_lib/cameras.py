"""Selecting the camera of a frame; a scene without a camera gets one that frames everything."""

from math import atan, tan
from typing import Any

import bpy
from mathutils import Vector

from session_lib.bounding_boxes import Box, rendered_boxes, union
from session_lib.facts import camera_names
from session_lib.faults import SceneFault, comma_separated, unknown_name

#: View direction of an added camera: from the front, slightly right and above, as in product shots.
DIRECTION = Vector((0.62, -1.0, 0.55)).normalized()
MARGIN = 1.08


class Cameras:
    """The cameras of a scene: `activate(None)` restores the scene's own, which timeline markers may switch."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._scene_camera = scene.camera
        self._markers = [(marker, marker.camera) for marker in scene.timeline_markers if marker.camera]

    def activate(self, name: str | None) -> None:
        """Render the next frames with the camera of that name. Raises SceneFault if there is none."""
        for marker, camera in self._markers:
            marker.camera = camera if name is None else None
        self._scene.camera = self._scene_camera if name is None else find_camera(self._scene, name)


def find_camera(scene: Any, name: str) -> Any:
    """Return the camera of that name. Raises SceneFault."""
    thing = scene.objects.get(name)
    if thing is None:
        raise unknown_name("camera", name, camera_names(scene))
    if thing.type != "CAMERA":
        raise SceneFault(f"{name!r} is not a camera. Available: {comma_separated(camera_names(scene))}.")
    return thing


def ensure_camera(scene: Any, notes: list[str]) -> None:
    """Ensure that the scene has a camera: its own, the first by name, or a new one that frames everything."""
    _note_missing_light(scene, notes)
    if scene.camera is not None or any(marker.camera for marker in scene.timeline_markers):
        return
    names = camera_names(scene)
    if names:
        scene.camera = scene.objects[names[0]]
        notes.append(f"The scene has no active camera; the first one, {names[0]!r}, is used.")
        return
    boxes = rendered_boxes(scene.view_layers[0])
    scene.camera = add_camera(scene, boxes)
    notes.append(
        "The scene has no camera; one that frames everything is used."
        if boxes
        else "The scene has no camera and nothing to render."
    )


def add_camera(scene: Any, boxes: list[Box]) -> Any:
    """Add a camera that frames the boxes from DIRECTION."""
    target = union(_without_surroundings(boxes)) if boxes else Box(Vector((-1, -1, -1)), Vector((1, 1, 1)))
    lens = bpy.data.cameras.new("renderctl camera")
    camera = bpy.data.objects.new("renderctl camera", lens)
    scene.collection.objects.link(camera)
    camera.rotation_euler = DIRECTION.to_track_quat("Z", "Y").to_euler()
    distance = _distance(target, camera.rotation_euler.to_matrix(), _half_angles(scene, lens))
    camera.location = target.centre + DIRECTION * distance
    farthest = max((corner - camera.location).length for corner in union([*boxes, target]).corners())
    lens.clip_start = max(1e-4, distance / 1000)
    lens.clip_end = farthest * 2 + 1
    return camera


def _distance(target: Box, rotation: Any, half_angles: tuple[float, float]) -> float:
    """Return the distance from the box's centre at which a camera sees every corner."""
    right, up, back = rotation.col
    distance = 1e-3
    for corner in target.corners():
        offset = corner - target.centre
        for axis, half in ((right, half_angles[0]), (up, half_angles[1])):
            distance = max(distance, abs(offset.dot(axis)) / tan(half) * MARGIN + offset.dot(back))
    return float(distance)


def _half_angles(scene: Any, lens: Any) -> tuple[float, float]:
    """Return half the horizontal and vertical angle of view: the sensor's width spans the longer side."""
    render = scene.render
    across, upwards = (
        render.resolution_x * render.pixel_aspect_x,
        render.resolution_y * render.pixel_aspect_y,
    )
    half = tan(lens.angle / 2)
    return atan(half * min(1.0, across / upwards)), atan(half * min(1.0, upwards / across))


def _without_surroundings(boxes: list[Box]) -> list[Box]:
    """Leave out huge ground planes and sky domes, which would make everything else tiny."""
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


def _note_missing_light(scene: Any, notes: list[str]) -> None:
    if scene.render.engine == "BLENDER_WORKBENCH" or any(thing.type == "LIGHT" for thing in scene.objects):
        return
    if scene.world is None or (not _has_nodes(scene.world) and max(scene.world.color) == 0):
        notes.append("The scene has no light and no world; everything that does not emit light is black.")


def _has_nodes(world: Any) -> bool:
    return world.node_tree is not None and len(world.node_tree.nodes) > 0
