"""Output files of a frame: the image and the compositor's File Output nodes, all in the task's folder."""

import os
import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import bpy

from session_lib.render_scope import compositor_trees


def literal_path(path: str) -> str:
    """Escape a path for `render.filepath`: from 4.5 on braces are template fields."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


def file_names(folder: str, main: str) -> list[str]:
    """List the files in the folder, the one called `main` first (with several views, those with its stem)."""
    stem = Path(main).stem
    names = sorted(str(candidate.relative_to(folder)) for candidate in Path(folder).rglob("*") if candidate.is_file())
    return sorted(names, key=lambda name: (name != main, not name.startswith(stem + "_"), name))


#: Bytes of a name without frame number, view suffix and extension.
MAX_NAME_BYTES = 160
#: Placeholder of the frame number. Up to 4.5 Blender always appends one; from 5.0 on only to animations.
FRAME_NUMBER = "####"


def sanitize_view_suffixes() -> None:
    """Sanitize the view suffixes of all scenes, which could lead out of the folder, and enforce file extensions."""
    for scene in bpy.data.scenes:
        scene.render.use_file_extension = True  # for the compositor's files; the image's name has one
        for view in scene.render.views:
            if re.search(r"[/\\{}]", view.file_suffix):
                view.file_suffix = "_" + re.sub(r"[/\\{}.]+", "_", view.file_suffix).strip("_")


class FileOutputs:
    """Redirects all File Output nodes: those of other scenes may write, too, by a scene strip or a render layer.

    Muted nodes and unused groups are redirected like all others. Nodes of `scene` itself keep their names; a duplicate
    name gets a prefix.
    """

    def __init__(self, scene: Any) -> None:
        self._nodes: list[Any] = []
        self._stems: list[str] = []  # file names of nodes that write all layers into one file
        self._used_names: set[str] = set()
        own_nodes = [(node, "") for tree in compositor_trees(scene) for node in _file_outputs(tree)]
        other_nodes = [(node, owner) for owner, tree in _all_trees() for node in _file_outputs(tree)]
        seen: set[int] = set()
        for node, owner in (*sorted(own_nodes, key=lambda pair: bool(pair[0].mute)), *other_nodes):
            if node.as_pointer() not in seen:
                seen.add(node.as_pointer())
                self._nodes.append(node)
                self._stems.append(self._unique_stem(node, owner))

    def write_to(self, folder: str) -> None:
        """Write the files of the next frame to `folder`."""
        for node, stem in zip(self._nodes, self._stems, strict=True):
            if hasattr(node, "file_output_items"):
                _redirect_items(node, folder, stem)
            else:
                _redirect_slots(node, folder, stem)

    def _unique_stem(self, node: Any, owner: str) -> str:
        prefix = plain_name(owner, "scene") if owner else ""
        own_name = plain_name(node.name, "output")
        for slot in _slots(node):
            attribute = "name" if hasattr(node, "file_output_items") else "path"
            name = self._unique_name(prefix + plain_name(getattr(slot, attribute), own_name), own_name)
            setattr(slot, attribute, name + (FRAME_NUMBER if attribute == "name" else ""))
        return self._unique_name(prefix + own_name, own_name) if _multilayer(node) else own_name

    def _unique_name(self, name: str, prefix: str) -> str:
        """Return the name, or an unused one, ignoring case as some file systems do."""
        prefixes = chain(("", prefix), (f"{number}_" for number in count(2)))
        unique = next(
            candidate
            for candidate in (_truncate(prefix_part + name) for prefix_part in prefixes)
            if candidate.lower() not in self._used_names
        )
        self._used_names.add(unique.lower())
        return unique


def _truncate(name: str) -> str:
    """Truncate the name so that suffixes still fit into a file name."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip("_") + "_"


def _all_trees() -> Iterator[tuple[str, Any]]:
    """Yield the node trees of every scene's compositor, then all compositor groups, with their owner's name."""
    for scene in bpy.data.scenes:
        yield from ((scene.name, tree) for tree in compositor_trees(scene))
    yield from ((tree.name, tree) for tree in bpy.data.node_groups if tree.bl_idname == "CompositorNodeTree")


def _file_outputs(tree: Any) -> list[Any]:
    return [node for node in tree.nodes if node.bl_idname == "CompositorNodeOutputFile"]


def _multilayer(node: Any) -> bool:
    return bool(node.format.file_format == "OPEN_EXR_MULTILAYER")


def _slots(node: Any) -> list[Any]:
    if _multilayer(node):
        return []
    return list(node.file_output_items if hasattr(node, "file_output_items") else node.file_slots)


def _redirect_slots(node: Any, folder: str, stem: str) -> None:
    """Up to 4.5: set the folder, or for all layers in one file the stem of its path."""
    node.base_path = literal_path(os.path.join(folder, stem if _multilayer(node) else ""))


def _redirect_items(node: Any, folder: str, stem: str) -> None:
    """From 5.0 on: set the folder and the stem of the file names."""
    node.directory = literal_path(folder)
    node.file_name = stem + FRAME_NUMBER if _multilayer(node) else ""
    if hasattr(node, "use_file_extension"):  # 5.2 on
        node.use_file_extension = True


def plain_name(text: str, default: str) -> str:
    """Return a name without folders that ends with an underscore and cannot be taken for a frame number."""
    parts = [part for part in re.split(r"[/\\{}]+", text) if part not in ("", ".", "..")]
    name = "_".join(parts).replace("#", "").strip()
    if not name or name.strip("_").isdigit():
        name = default
    return name if name.endswith("_") else name + "_"
