"""All references from a scene to external files: their paths, holders, and the property to relocate them.

Blender's own list (`bpy.data.file_path_map`, from 4.5 on) has only the first frame of a sequence and no disk caches.
renderctl renders where none of the original files exist, so all holders are walked here.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from session_lib import paths
from session_lib.fluid_caches import FluidCache

Expand = Callable[[str], list[str]]


@dataclass
class Reference:
    """A property that holds a path."""

    kind: str
    owner: str
    holder: Any  #: the struct with the property
    attribute: str
    library: Any  #: the library that the holder was linked from, or None
    expand: Expand = paths.existing_file
    needed: bool = True  #: whether rendering without it is an error

    @property
    def raw(self) -> str:
        """The path as stored."""
        return str(getattr(self.holder, self.attribute))

    @property
    def absolute(self) -> str:
        """The absolute path."""
        return paths.resolve(self.raw, self.library)

    def files(self) -> list[str]:
        """Return the existing files, by absolute path."""
        return self.expand(self.absolute)


@dataclass
class ImageStrip(Reference):
    """An image strip: a folder and the file names in it."""

    def files(self) -> list[str]:
        """Return the existing files of the strip."""
        names = [os.path.join(self.absolute, element.filename) for element in self.holder.elements]
        return [name for name in names if paths.existing_file(name)]


def all_references() -> Iterator[Reference]:
    """Yield all references, libraries first; empty paths and packed files are left out."""
    for walk in (_libraries, _images, _media, _volumes, _modifiers, _point_caches, _strips, _nodes):
        for reference in walk():
            if reference.raw.strip():
                yield reference


def libraries() -> Iterator[Reference]:
    """Yield the linked .blend files, nested ones included."""
    return _libraries()


def _owner(block: Any, part: str = "") -> str:
    return f"{block.bl_rna.name}: {block.name}" + (f", {part}" if part else "")


def _filepath_reference(block: Any, kind: str, expand: Expand = paths.existing_file, needed: bool = True) -> Reference:
    return Reference(kind, _owner(block), block, "filepath", block.library, expand, needed)


def _libraries() -> Iterator[Reference]:
    for library in bpy.data.libraries:
        if library.packed_file is None and not getattr(library, "is_archive", False):
            yield Reference(
                "library", _owner(library), library, "filepath", None, lambda path: paths.existing_file(path)
            )


def _images() -> Iterator[Reference]:
    kinds = {
        "FILE": ("image", paths.existing_file),
        "SEQUENCE": ("sequence", paths.sequence_files),
        "MOVIE": ("movie", paths.existing_file),
        "TILED": ("udim", paths.tile_files),
    }
    for image in bpy.data.images:
        if image.source in kinds and not image.packed_file and not image.packed_files:
            kind, expand = kinds[image.source]
            yield _filepath_reference(image, kind, expand, needed=image.users > 0)


def _media() -> Iterator[Reference]:
    for font in bpy.data.fonts:
        if font.filepath != "<builtin>" and font.packed_file is None:
            yield _filepath_reference(font, "font", needed=font.users > 0)
    for sound in bpy.data.sounds:
        if sound.packed_file is None:
            yield _filepath_reference(sound, "sound", needed=sound.users > 0)
    for clip in bpy.data.movieclips:
        yield _filepath_reference(
            clip,
            "clip",
            paths.sequence_files if clip.source == "SEQUENCE" else paths.existing_file,
            needed=clip.users > 0,
        )


def _volumes() -> Iterator[Reference]:
    for volume in bpy.data.volumes:
        if volume.packed_file is None:
            yield _filepath_reference(
                volume, "volume", paths.sequence_files if volume.is_sequence else paths.existing_file
            )
    for cache in bpy.data.cache_files:
        yield _filepath_reference(cache, "cache", paths.sequence_files if cache.is_sequence else paths.existing_file)
        for layer in getattr(cache, "layers", ()):
            yield Reference("cache", _owner(cache, "a layer"), layer, "filepath", cache.library)


def _modifiers() -> Iterator[Reference]:
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            yield from _modifier_references(thing, modifier)


def _modifier_references(thing: Any, modifier: Any) -> Iterator[Reference]:
    owner = _owner(thing, f"modifier {modifier.name}")

    def cache_reference(
        holder: Any, attribute: str, expand: Expand = paths.files_below, needed: bool = False
    ) -> Reference:
        return Reference("cache", owner, holder, attribute, thing.library, expand, needed)

    if modifier.type == "MESH_CACHE" or (modifier.type == "MULTIRES" and modifier.is_external):
        yield cache_reference(modifier, "filepath", paths.existing_file, needed=True)
    elif modifier.type == "OCEAN" and modifier.is_cached:
        yield cache_reference(modifier, "filepath")
    elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
        yield cache_reference(FluidCache(modifier.domain_settings, thing.library), "cache_directory", paths.fluid_files)
    elif modifier.type == "NODES":
        yield cache_reference(modifier, "bake_directory")
        for bake in modifier.bakes:
            if bake.use_custom_path:
                yield cache_reference(bake, "directory")


def point_caches() -> Iterator[tuple[Any, str, Any]]:
    """Yield every point cache of an object: the object, the kind of simulation, the cache."""
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
class DiskCacheFolder(Reference):
    """A disk cache: always the folder `blendcache_NAME` beside NAME.blend."""

    @property
    def raw(self) -> str:
        library = paths.library_path(self.library) if self.library else bpy.data.filepath
        return f"//blendcache_{os.path.splitext(os.path.basename(library))[0]}"


def _point_caches() -> Iterator[Reference]:
    for thing, what, cache in (*point_caches(), *_rigid_bodies()):
        owner = _owner(thing, what)
        if cache.use_external:
            yield Reference("cache", owner, cache, "filepath", thing.library, paths.files_below, needed=False)
        elif cache.use_disk_cache:
            yield DiskCacheFolder("cache", owner, cache, "name", thing.library, paths.files_below, needed=False)


def strips(scene: Any) -> Iterator[Any]:
    """Yield every strip of a scene's sequencer, those of meta strips included."""
    editor = scene.sequence_editor
    if editor is not None:
        yield from getattr(editor, "strips_all", None) or getattr(editor, "sequences_all", ())


def _strips() -> Iterator[Reference]:
    for scene in bpy.data.scenes:
        for strip in strips(scene):
            owner = _owner(scene, f"strip {strip.name}")
            if strip.type == "IMAGE":
                yield ImageStrip("image", owner, strip, "directory", scene.library)
            elif strip.type == "MOVIE":
                yield Reference("movie", owner, strip, "filepath", scene.library)


def node_trees() -> Iterator[tuple[Any, Any]]:
    """Yield every node tree with the datablock that owns it."""
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
