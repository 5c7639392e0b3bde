"""What a scene's picture is made of, beyond its own objects: other scenes, and the node trees of compositors."""

from collections.abc import Iterator
from typing import Any

from inside.references import strips


def rendered_scenes(scene: Any) -> list[Any]:
    """The scene, and those that its sequencer, its compositor and its background lead to."""
    reached = [scene]
    for each in reached:  # it grows meanwhile
        reached += [other for other in _led_to(each) if other is not None and other not in reached]
    return reached


def _led_to(scene: Any) -> list[Any]:
    strip_scenes = [strip.scene for strip in strips(scene) if strip.type == "SCENE"]
    nodes = [node for tree in compositor_trees(scene) for node in tree.nodes]
    layer_scenes = [node.scene for node in nodes if node.bl_idname == "CompositorNodeRLayers"]
    return [*dict.fromkeys([*strip_scenes, *layer_scenes, scene.background_set])]


def compositor_trees(scene: Any) -> Iterator[Any]:
    """The node tree of a scene's compositor, and the groups in it, each once."""
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    if tree is not None:
        yield from with_groups(tree, set())


def with_groups(tree: Any, seen: set[int]) -> Iterator[Any]:
    """A node tree, and the groups in it, but for those that are `seen`, by their addresses."""
    if tree.as_pointer() in seen:
        return
    seen.add(tree.as_pointer())
    yield tree
    for node in tree.nodes:
        inner = getattr(node, "node_tree", None)
        if inner is not None:
            yield from with_groups(inner, seen)
