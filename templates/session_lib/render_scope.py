"""The scope of a render beyond the scene's own objects: other scenes, and the compositors' node trees."""

from collections.abc import Iterator
from typing import Any

from session_lib.file_references import strips


def rendered_scenes(scene: Any) -> list[Any]:
    """Return the scene, and those that its sequencer, compositor and background set render."""
    scenes = [scene]
    for current in scenes:  # the list grows meanwhile
        scenes += [other for other in _referenced_scenes(current) if other is not None and other not in scenes]
    return scenes


def _referenced_scenes(scene: Any) -> list[Any]:
    strip_scenes = [strip.scene for strip in strips(scene) if strip.type == "SCENE"]
    nodes = [node for tree in compositor_trees(scene) for node in tree.nodes]
    layer_scenes = [node.scene for node in nodes if node.bl_idname == "CompositorNodeRLayers"]
    return [*dict.fromkeys([*strip_scenes, *layer_scenes, scene.background_set])]


def compositor_trees(scene: Any) -> Iterator[Any]:
    """Yield the node tree of a scene's compositor and its groups, without duplicates."""
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    if tree is not None:
        yield from with_groups(tree, set())


def with_groups(tree: Any, seen: set[int]) -> Iterator[Any]:
    """Yield a node tree and its groups, except those whose addresses are in `seen`."""
    if tree.as_pointer() in seen:
        return
    seen.add(tree.as_pointer())
    yield tree
    for node in tree.nodes:
        inner = getattr(node, "node_tree", None)
        if inner is not None:
            yield from with_groups(inner, seen)
