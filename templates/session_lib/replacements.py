"""`--replace OBJECT=FILE`: hides an object and imports a model in its place, which follows the object."""

import os
from collections.abc import Callable
from typing import Any

import bpy
from mathutils import Matrix, Vector

from session_lib.bounding_boxes import rendered_boxes, union
from session_lib.faults import SceneFault, sentence, unknown_name
from session_lib.fluid_caches import redirect_fluids


def replace(scene: Any, name: str, path: str) -> None:
    """Import the model at `path` at the object's place, with the centres of their boxes aligned, and hide the object.

    The model gets its own collection, named after the object, and moves with it; children of the object stay. Raises
    SceneFault for an unknown object, or a file that cannot be imported or has no mesh.
    """
    old = scene.objects.get(name)
    if old is None:
        raise unknown_name("object", name, sorted(scene.objects.keys()))
    layer = scene.view_layers[0]
    target = _centre(layer, {old.name}) or old.matrix_world.translation.copy()
    new = _import_model(path)
    collection = _move_to_collection(scene, name, new)
    scene.view_layers.update()
    centre = _centre(layer, {thing.name for thing in collection.objects})
    if centre is None:
        raise SceneFault(f"{os.path.basename(path)} has no mesh that could replace {name!r}.")
    _attach(collection, old, target - centre)
    _hide(old)


def _centre(layer: Any, names: set[str]) -> Vector | None:
    boxes = rendered_boxes(layer, names)
    return union(boxes).centre if boxes else None


def _import_model(path: str) -> list[Any]:
    extension = os.path.splitext(path)[1].lower()
    importer = IMPORTERS.get(extension)
    if importer is None:
        raise SceneFault(f"{os.path.basename(path)} cannot be imported: use one of {', '.join(sorted(IMPORTERS))}.")
    before = {thing.as_pointer() for thing in bpy.data.objects}
    try:
        importer(path)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise SceneFault(f"{os.path.basename(path)} cannot be imported: {sentence(str(error))}") from error
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
    with bpy.data.libraries.load(path, link=False) as (available, selected):
        selected.objects = list(available.objects)
    redirect_fluids()


IMPORTERS: dict[str, Callable[[str], None]] = {
    ".fbx": _read_fbx,
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
    ".obj": _read_obj,
    ".blend": _read_blend,
}


def _move_to_collection(scene: Any, name: str, things: list[Any]) -> Any:
    """Move the objects to a new collection of the scene, without the model's lights and cameras."""
    collection = bpy.data.collections.new(name)
    scene_collections = {scene.collection, *scene.collection.children_recursive}
    scene.collection.children.link(collection)
    for thing in things:
        for holder in scene_collections.intersection(thing.users_collection):
            holder.objects.unlink(thing)
        if thing.type not in ("LIGHT", "CAMERA"):
            collection.objects.link(thing)
    return collection


def _attach(collection: Any, old: Any, offset: Vector) -> None:
    """Parent the model's roots to an empty that is moved by `offset` and follows the old object."""
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
    """Hide the object from renders, but keep it for its children and the model."""
    old.hide_render = True
    if old.animation_data is not None:
        for holder in old.users_collection:
            if holder.library is None:
                holder.objects.unlink(old)
