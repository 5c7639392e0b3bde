"""Every reference from a scene to a file beside it: what it names, who holds it, and how it can be pointed elsewhere.

Blender's own list (`bpy.data.file_path_map`, 4.5 on) knows of no other frame of a sequence than the first, and of no
disk cache; `renderctl` renders where none of the originals exist, so each holder is walked here.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from inside import paths
from inside.fluid_caches import FluidCache

Expand = Callable[[str], list[str]]


@dataclass
class Reference:
    """One property that holds a path."""

    kind: str
    owner: str
    holder: Any  #: the struct with the property
    attribute: str
    library: Any  #: what the holder was linked from, or None
    expand: Expand = paths.single
    needed: bool = True  #: the scene is not whole without it

    @property
    def raw(self) -> str:
        """The path as it is stored."""
        return str(getattr(self.holder, self.attribute))

    @property
    def absolute(self) -> str:
        return paths.resolve(self.raw, self.library)

    def files(self) -> list[str]:
        """The files that are there, by absolute path."""
        return self.expand(self.absolute)


@dataclass
class Elements(Reference):
    """An image strip: a folder, and names in it."""

    def files(self) -> list[str]:
        names = [os.path.join(self.absolute, element.filename) for element in self.holder.elements]
        return [name for name in names if paths.single(name)]


def all_references() -> Iterator[Reference]:
    """All of them, libraries first. One without a path, or with its file packed inside the scene, is none."""
    for walk in (_libraries, _images, _media, _volumes, _modifiers, _point_caches, _strips, _nodes):
        for reference in walk():
            if reference.raw.strip():
                yield reference


def libraries() -> Iterator[Reference]:
    """The linked .blend files, nested ones too."""
    return _libraries()


def _owner(block: Any, part: str = "") -> str:
    return f"{block.bl_rna.name}: {block.name}" + (f", {part}" if part else "")


def _of(block: Any, kind: str, expand: Expand = paths.single, needed: bool = True) -> Reference:
    return Reference(kind, _owner(block), block, "filepath", block.library, expand, needed)


def _libraries() -> Iterator[Reference]:
    for library in bpy.data.libraries:
        if library.packed_file is None and not getattr(library, "is_archive", False):
            yield Reference("library", _owner(library), library, "filepath", None, lambda path: paths.single(path))


def _images() -> Iterator[Reference]:
    kinds = {
        "FILE": ("image", paths.single),
        "SEQUENCE": ("sequence", paths.sequence),
        "MOVIE": ("movie", paths.single),
        "TILED": ("udim", paths.tiles),
    }
    for image in bpy.data.images:
        if image.source in kinds and not image.packed_file and not image.packed_files:
            kind, expand = kinds[image.source]
            yield _of(image, kind, expand, needed=image.users > 0)


def _media() -> Iterator[Reference]:
    for font in bpy.data.fonts:
        if font.filepath != "<builtin>" and font.packed_file is None:
            yield _of(font, "font", needed=font.users > 0)
    for sound in bpy.data.sounds:
        if sound.packed_file is None:
            yield _of(sound, "sound", needed=sound.users > 0)
    for clip in bpy.data.movieclips:
        yield _of(clip, "clip", paths.sequence if clip.source == "SEQUENCE" else paths.single, needed=clip.users > 0)


def _volumes() -> Iterator[Reference]:
    for volume in bpy.data.volumes:
        if volume.packed_file is None:
            yield _of(volume, "volume", paths.sequence if volume.is_sequence else paths.single)
    for cache in bpy.data.cache_files:
        yield _of(cache, "cache", paths.sequence if cache.is_sequence else paths.single)
        for layer in getattr(cache, "layers", ()):
            yield Reference("cache", _owner(cache, "a layer"), layer, "filepath", cache.library)


def _modifiers() -> Iterator[Reference]:
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            yield from _of_modifier(thing, modifier)


def _of_modifier(thing: Any, modifier: Any) -> Iterator[Reference]:
    owner = _owner(thing, f"modifier {modifier.name}")

    def found(holder: Any, attribute: str, expand: Expand = paths.everything, needed: bool = False) -> Reference:
        return Reference("cache", owner, holder, attribute, thing.library, expand, needed)

    if modifier.type == "MESH_CACHE" or (modifier.type == "MULTIRES" and modifier.is_external):
        yield found(modifier, "filepath", paths.single, needed=True)
    elif modifier.type == "OCEAN" and modifier.is_cached:
        yield found(modifier, "filepath")
    elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
        yield found(FluidCache(modifier.domain_settings, thing.library), "cache_directory", paths.fluid)
    elif modifier.type == "NODES":
        yield found(modifier, "bake_directory")
        for bake in modifier.bakes:
            if bake.use_custom_path:
                yield found(bake, "directory")


def point_caches() -> Iterator[tuple[Any, str, Any]]:
    """Every point cache of an object that is in use: the object, what is simulated, the cache."""
    simulated = {"CLOTH": "cloth", "SOFT_BODY": "soft body"}
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type in simulated:
                yield thing, simulated[modifier.type], modifier.point_cache
            elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings:
                for surface in modifier.canvas_settings.canvas_surfaces:
                    yield thing, "dynamic paint", surface.point_cache
        for system in thing.particle_systems:
            yield thing, "particles", system.point_cache


def _rigid_bodies() -> Iterator[tuple[Any, str, Any]]:
    for scene in bpy.data.scenes:
        if scene.rigidbody_world is not None:
            yield scene, "rigid bodies", scene.rigidbody_world.point_cache


@dataclass
class BesideScene(Reference):
    """Disk caches: the folder `blendcache_NAME` beside NAME.blend, whatever the holder says."""

    @property
    def raw(self) -> str:
        library = paths.library_path(self.library) if self.library else bpy.data.filepath
        return f"//blendcache_{os.path.splitext(os.path.basename(library))[0]}"


def _point_caches() -> Iterator[Reference]:
    for thing, what, cache in (*point_caches(), *_rigid_bodies()):
        owner = _owner(thing, what)
        if cache.use_external:
            yield Reference("cache", owner, cache, "filepath", thing.library, paths.everything, needed=False)
        elif cache.use_disk_cache:
            yield BesideScene("cache", owner, cache, "name", thing.library, paths.everything, needed=False)


def strips(scene: Any) -> Iterator[Any]:
    """Every strip of a scene's sequencer, those inside meta strips too."""
    editor = scene.sequence_editor
    if editor is not None:
        yield from getattr(editor, "strips_all", None) or getattr(editor, "sequences_all", ())


def _strips() -> Iterator[Reference]:
    for scene in bpy.data.scenes:
        for strip in strips(scene):
            owner = _owner(scene, f"strip {strip.name}")
            if strip.type == "IMAGE":
                yield Elements("image", owner, strip, "directory", scene.library)
            elif strip.type == "MOVIE":
                yield Reference("movie", owner, strip, "filepath", scene.library)


def node_trees() -> Iterator[tuple[Any, Any]]:
    """Every node tree, with the datablock that has it."""
    for group in bpy.data.node_groups:
        yield group, group
    for blocks in ("materials", "worlds", "lights", "linestyles", "textures", "scenes"):
        for block in getattr(bpy.data, blocks):
            if getattr(block, "node_tree", None) is not None:
                yield block, block.node_tree


def _nodes() -> Iterator[Reference]:
    for block, tree in node_trees():
        for node in tree.nodes:
            owner = _owner(block, f"node {node.name}")
            if node.bl_idname in ("ShaderNodeTexIES", "ShaderNodeScript") and node.mode == "EXTERNAL":
                kind = "light" if node.bl_idname == "ShaderNodeTexIES" else "script"
                yield Reference(kind, owner, node, "filepath", block.library)
            for socket in node.inputs:
                if socket.bl_idname == "NodeSocketStringFilePath" and not socket.is_linked:
                    yield Reference("file", owner, socket, "default_value", block.library)
