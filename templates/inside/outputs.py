"""What a frame leaves behind: the image itself, and the files of the compositor, all in the folder of the task."""

import os
import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import bpy

from inside.reach import compositor_trees


def literal_path(path: str) -> str:
    """A path as `render.filepath` takes it: braces are templates from 4.5 on, two of them one brace."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


def file_names(folder: str, main: str) -> list[str]:
    """The files in the folder, the one called `main` first (or those that begin like it, with several views)."""
    stem = Path(main).stem
    names = sorted(str(each.relative_to(folder)) for each in Path(folder).rglob("*") if each.is_file())
    return sorted(names, key=lambda name: (name != main, not name.startswith(stem + "_"), name))


#: Bytes of a name without the number of the frame, the suffix of a view and the extension.
MAX_NAME_BYTES = 160
#: Where the number of the frame goes. Up to 4.5 Blender adds one by itself; from 5.0 on to animations only.
NUMBER = "####"


def keep_in_folder() -> None:
    """Have no scene add to the names of its files what leads out of their folder, or what makes them other files."""
    for scene in bpy.data.scenes:
        scene.render.use_file_extension = True  # for what the compositor writes; the image's own name has one
        for view in scene.render.views:
            if re.search(r"[/\\{}]", view.file_suffix):
                view.file_suffix = "_" + re.sub(r"[/\\{}.]+", "_", view.file_suffix).strip("_")


class FileOutputs:
    """All File Output nodes of the file: those of other scenes write, too, where a strip or a pass leads to one.

    Muted ones and groups that nobody uses are redirected like all the others. The names of those of `scene` itself
    stay; of equal names the later one gets more in front.
    """

    def __init__(self, scene: Any) -> None:
        self._nodes: list[Any] = []
        self._stems: list[str] = []  # for the nodes that write all layers into one file: what it is called
        self._taken: set[str] = set()
        own = [(node, "") for tree in compositor_trees(scene) for node in _file_outputs(tree)]
        others = [(node, owner) for owner, tree in _all_trees() for node in _file_outputs(tree)]
        seen: set[int] = set()
        for node, owner in (*sorted(own, key=lambda pair: bool(pair[0].mute)), *others):
            if node.as_pointer() not in seen:
                seen.add(node.as_pointer())
                self._nodes.append(node)
                self._stems.append(self._name_apart(node, owner))

    def write_to(self, folder: str) -> None:
        """Have the files of the next frame written to `folder`."""
        for node, stem in zip(self._nodes, self._stems, strict=True):
            if hasattr(node, "file_output_items"):
                _redirect_items(node, folder, stem)
            else:
                _redirect_slots(node, folder, stem)

    def _name_apart(self, node: Any, owner: str) -> str:
        prefix = plain_name(owner, "scene") if owner else ""
        own_name = plain_name(node.name, "output")
        for slot in _slots(node):
            attribute = "name" if hasattr(node, "file_output_items") else "path"
            name = self._free(prefix + plain_name(getattr(slot, attribute), own_name), own_name)
            setattr(slot, attribute, name + (NUMBER if attribute == "name" else ""))
        return self._free(prefix + own_name, own_name) if _multilayer(node) else own_name

    def _free(self, name: str, front: str) -> str:
        """The name, or one that nobody has. File systems may not tell small letters from capital ones."""
        fronts = chain(("", front), (f"{number}_" for number in count(2)))
        free = next(each for each in (_short(more + name) for more in fronts) if each.lower() not in self._taken)
        self._taken.add(free.lower())
        return free


def _short(name: str) -> str:
    """The name, or so much of its beginning as leaves a file system room for the rest."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip("_") + "_"


def _all_trees() -> Iterator[tuple[str, Any]]:
    """The node trees of every scene's compositor, and the groups that are left; with the name of who has them."""
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
    """Up to 4.5: a folder, or for all layers in one file the beginning of its path."""
    node.base_path = literal_path(os.path.join(folder, stem if _multilayer(node) else ""))


def _redirect_items(node: Any, folder: str, stem: str) -> None:
    """From 5.0 on: a folder, and the beginning of the names."""
    node.directory = literal_path(folder)
    node.file_name = stem + NUMBER if _multilayer(node) else ""
    if hasattr(node, "use_file_extension"):  # 5.2 on
        node.use_file_extension = True


def plain_name(text: str, otherwise: str) -> str:
    """A name without folders, that ends so that a frame number can follow it, and can not be a frame number."""
    parts = [part for part in re.split(r"[/\\{}]+", text) if part not in ("", ".", "..")]
    name = "_".join(parts).replace("#", "").strip()
    if not name or name.strip("_").isdigit():
        name = otherwise
    return name if name.endswith("_") else name + "_"
