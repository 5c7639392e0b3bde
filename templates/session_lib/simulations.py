"""Finding unbaked simulations, whose frames depend on all earlier frames."""

import os
from collections.abc import Iterator
from typing import Any

from session_lib import paths
from session_lib.file_references import point_caches
from session_lib.fluid_caches import FluidCache


def unbaked(scene: Any) -> list[str]:
    """List the unbaked simulations of a scene, such as `cloth of Flag`."""
    if scene.frame_start == scene.frame_end:
        return []
    things = {thing.name_full for thing in scene.objects if not thing.hide_render}
    return sorted({*_point_caches(things), *_rigid_bodies(scene), *_fluids(scene), *_simulation_zones(scene)})


def _point_caches(things: set[str]) -> Iterator[str]:
    for thing, what, cache in point_caches():
        if thing.name_full in things and not cache.is_baked and not cache.use_external:
            if what == "particles" and not _is_dynamic(thing, cache):
                continue
            yield f"{what} of {thing.name}"


def _is_dynamic(thing: Any, cache: Any) -> bool:
    """Return whether the particles move: hair without dynamics and particles without physics do not."""
    for system in thing.particle_systems:
        if system.point_cache == cache:
            settings = system.settings
            return bool(system.use_hair_dynamics if settings.type == "HAIR" else settings.physics_type != "NO")
    return False


def _rigid_bodies(scene: Any) -> Iterator[str]:
    world = scene.rigidbody_world
    if world is None or not world.enabled or world.collection is None or world.point_cache.is_baked:
        return
    if any(thing.rigid_body and thing.rigid_body.type == "ACTIVE" for thing in world.collection.objects):
        yield "rigid bodies"


def _fluids(scene: Any) -> Iterator[str]:
    for thing, modifier in _modifiers(scene, "FLUID"):
        domain = modifier.domain_settings if modifier.fluid_type == "DOMAIN" else None
        if domain is not None and not domain.has_cache_baked_any:
            folder = paths.resolve(FluidCache(domain, thing.library).cache_directory, thing.library)
            if not any(
                name.startswith(("fluid_data", "data")) for name in paths.files_below(os.path.join(folder, "data"))
            ):
                yield f"fluid of {thing.name}"


def _simulation_zones(scene: Any) -> Iterator[str]:
    for thing, modifier in _modifiers(scene, "NODES"):
        if modifier.node_group is None or not _has_simulation(modifier.node_group, set()):
            continue
        folders = [bake.directory for bake in modifier.bakes if bake.use_custom_path] + [modifier.bake_directory]
        if not any(folder and paths.files_below(paths.resolve(folder, thing.library)) for folder in folders):
            yield f"geometry nodes of {thing.name}"


def _has_simulation(tree: Any, seen: set[str]) -> bool:
    seen.add(tree.name_full)
    for node in tree.nodes:
        if node.bl_idname == "GeometryNodeSimulationOutput":
            return True
        inner = getattr(node, "node_tree", None)
        if inner is not None and inner.name_full not in seen and _has_simulation(inner, seen):
            return True
    return False


def _modifiers(scene: Any, kind: str) -> Iterator[tuple[Any, Any]]:
    for thing in scene.objects:
        for modifier in thing.modifiers:
            if modifier.type == kind and modifier.show_render and not thing.hide_render:
                yield thing, modifier
