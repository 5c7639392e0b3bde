"""What a frame leaves behind: the image itself, and the files of the compositor, all in the folder of the task."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy


def literal_path(path: str) -> str:
    """A path as `render.filepath` takes it: braces are templates from 4.5 on, two of them one brace."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


def file_names(folder: str, main: str) -> list[str]:
    """The files in the folder, the one called `main` first (or those that begin like it, with several views)."""
    stem = Path(main).stem
    names = sorted(str(each.relative_to(folder)) for each in Path(folder).rglob("*") if each.is_file())
    return sorted(names, key=lambda name: (name != main, not name.startswith(stem + "_"), name))


#: Where the number of the frame goes. Up to 4.5 Blender adds one by itself; from 5.0 on to animations only.
NUMBER = "####"


class FileOutputs:
    """The File Output nodes of a scene's compositor, which write wherever their author wished."""

    def __init__(self, scene: Any) -> None:
        tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
        self._nodes = list(_file_outputs(tree, set())) if tree is not None else []
        self._redirect = _redirect_items if hasattr(scene, "compositing_node_group") else _redirect_slots
        self._taken: set[str] = set()
        for node in self._nodes:
            self._name_apart(node)

    def write_to(self, folder: str) -> None:
        """Have the files of the next frame written to `folder`."""
        for node, stem in zip(self._nodes, self._stems, strict=True):
            self._redirect(node, folder, stem)

    def _name_apart(self, node: Any) -> None:
        for slot in _slots(node):
            attribute = "name" if hasattr(node, "file_output_items") else "path"
            name = plain_name(getattr(slot, attribute), plain_name(node.name, "output"))
            if name in self._taken:
                name = plain_name(node.name, "output") + name
            self._taken.add(name)
            setattr(slot, attribute, name + (NUMBER if attribute == "name" else ""))

    @property
    def _stems(self) -> list[str]:
        """For the nodes that write all layers into one file: what it is called."""
        return [plain_name(node.name, "output") for node in self._nodes]


def _file_outputs(tree: Any, seen: set[str]) -> Iterator[Any]:
    seen.add(tree.name_full)
    for node in tree.nodes:
        if node.bl_idname == "CompositorNodeOutputFile" and not node.mute:
            yield node
        inner = getattr(node, "node_tree", None)
        if inner is not None and inner.name_full not in seen:
            yield from _file_outputs(inner, seen)


def _multilayer(node: Any) -> bool:
    return bool(node.format.file_format == "OPEN_EXR_MULTILAYER")


def _slots(node: Any) -> list[Any]:
    if _multilayer(node):
        return []
    return list(node.file_output_items if hasattr(node, "file_output_items") else node.file_slots)


def _redirect_slots(node: Any, folder: str, stem: str) -> None:
    """Up to 4.5: a folder, or for all layers in one file the beginning of its path."""
    node.base_path = literal_path(os.path.join(folder, stem if _multilayer(node) else ""))


def _redirect_items(node: Any, folder: str, stem: str) -> None:
    """From 5.0 on: a folder, and the beginning of the names."""
    node.directory = literal_path(folder)
    node.file_name = stem + NUMBER if _multilayer(node) else ""


def plain_name(text: str, otherwise: str) -> str:
    """A name without folders, that ends so that a frame number can follow it, and can not be a frame number."""
    parts = [part for part in re.split(r"[/\\{}]+", text) if part not in ("", ".", "..")]
    name = "_".join(parts).replace("#", "").strip()
    if not name or name.strip("_").isdigit():
        name = otherwise
    return name if name.endswith("_") else name + "_"
