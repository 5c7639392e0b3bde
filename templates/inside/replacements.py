"""`--replace OBJECT=FILE`: an object gives way to an imported model, which takes its place and follows it."""

import os
from collections.abc import Callable
from typing import Any

import bpy
from mathutils import Matrix, Vector

from inside.bounds import seen_boxes, union
from inside.faults import SceneFault, no_such, sentence
from inside.fluid_caches import redirect_fluids


def replace(scene: Any, name: str, path: str) -> None:
    """Put the model at `path` where the object is, the centres of their boxes in one place, and hide the object.

    The model comes in a collection of its own, named after the object, and moves with it; what is parented to the
    object stays. Raises SceneFault for an unknown object, or a file that can not be read or has no mesh.
    """
    old = scene.objects.get(name)
    if old is None:
        raise no_such("object", name, sorted(scene.objects.keys()))
    layer = scene.view_layers[0]
    place = _centre(layer, {old.name}) or old.matrix_world.translation.copy()
    new = _imported(path)
    collection = _gather(scene, name, new)
    scene.view_layers.update()
    centre = _centre(layer, {thing.name for thing in collection.objects})
    if centre is None:
        raise SceneFault(f"{os.path.basename(path)} has no mesh that could take the place of {name!r}.")
    _anchor(collection, old, place - centre)
    _hide(old)


def _centre(layer: Any, names: set[str]) -> Vector | None:
    boxes = seen_boxes(layer, names)
    return union(boxes).centre if boxes else None


def _imported(path: str) -> list[Any]:
    ending = os.path.splitext(path)[1].lower()
    read = READERS.get(ending)
    if read is None:
        raise SceneFault(f"{os.path.basename(path)} is no model that can be imported ({', '.join(sorted(READERS))}).")
    before = {thing.as_pointer() for thing in bpy.data.objects}
    try:
        read(path)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise SceneFault(f"{os.path.basename(path)} can not be imported: {sentence(str(error))}") from error
    new = [thing for thing in bpy.data.objects if thing.as_pointer() not in before and thing.library is None]
    if not any(thing.type == "MESH" for thing in new):
        raise SceneFault(f"{os.path.basename(path)} has no mesh.")
    return new


def _read_fbx(path: str) -> None:
    if hasattr(bpy.types, "WM_OT_fbx_import"):  # 4.5 on
        bpy.ops.wm.fbx_import(filepath=path)
    else:
        bpy.ops.import_scene.fbx(filepath=path)


def _read_gltf(path: str) -> None:
    bpy.ops.import_scene.gltf(filepath=path)


def _read_obj(path: str) -> None:
    bpy.ops.wm.obj_import(filepath=path)


def _read_blend(path: str) -> None:
    with bpy.data.libraries.load(path, link=False) as (there, wanted):
        wanted.objects = list(there.objects)
    redirect_fluids()


READERS: dict[str, Callable[[str], None]] = {
    ".fbx": _read_fbx,
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
    ".obj": _read_obj,
    ".blend": _read_blend,
}


def _gather(scene: Any, name: str, things: list[Any]) -> Any:
    """Move the things into a new collection of the scene. Lamps and cameras of the model stay out of it."""
    collection = bpy.data.collections.new(name)
    shown = {scene.collection, *scene.collection.children_recursive}
    scene.collection.children.link(collection)
    for thing in things:
        for holder in shown.intersection(thing.users_collection):
            holder.objects.unlink(thing)
        if thing.type not in ("LIGHT", "CAMERA"):
            collection.objects.link(thing)
    return collection


def _anchor(collection: Any, old: Any, offset: Vector) -> None:
    """Hang the model's roots on an empty that is moved by `offset` and follows the old object."""
    things = list(collection.objects)
    anchor = bpy.data.objects.new(f"{collection.name} anchor", None)
    collection.objects.link(anchor)
    anchor.matrix_basis = Matrix.Translation(offset)
    inverse = old.matrix_world.inverted_safe()
    if abs(old.matrix_world.determinant()) > 1e-12:
        anchor.parent = old
        anchor.matrix_parent_inverse = inverse
    for thing in things:
        if thing.parent is None or thing.parent not in things:
            world = thing.matrix_world.copy()
            thing.parent = anchor
            thing.matrix_parent_inverse = Matrix.Identity(4)
            if thing.animation_data is None:
                thing.matrix_basis = world


def _hide(old: Any) -> None:
    """Keep it where it is, for its children and the model, but out of the picture."""
    old.hide_render = True
    if old.animation_data is not None:
        for holder in old.users_collection:
            if holder.library is None:
                holder.objects.unlink(old)
