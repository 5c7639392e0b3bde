"""Keyframes that need no version of Blender's animation classes."""

import bpy


def keys(thing: bpy.types.Object, path: str, axis: int, values: list[tuple[int, float]], steady: bool = False) -> None:
    """Set `thing.path[axis]` at frames, easing between them, or at a steady pace."""
    edit = bpy.context.preferences.edit
    edit.keyframe_new_interpolation_type = "LINEAR" if steady else "BEZIER"
    for frame, value in values:
        getattr(thing, path)[axis] = value
        thing.keyframe_insert(path, index=axis, frame=frame)
