"""The scenes of these tests, made by the Blender that is to render them: `python scenes.py FOLDER`, with bpy."""

import os
import sys
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from blocks import add, begin, box, camera, glowing, painted, save, sun

EVIL = '"); import os; os.mkdir("hacked"); ("'


def main(folder: Path) -> None:
    for build in (
        cube,
        bare,
        cameras,
        inactive,
        linked,
        files,
        compositor,
        scripted,
        replaceable,
        simulated,
        movie,
        leftovers,
    ):
        target = folder / build.__name__
        target.mkdir(parents=True)
        begin()
        build(target)


def cube(folder: Path) -> None:
    """What an ordinary scene looks like: a camera, a lamp, something that moves and has a texture."""
    thing = box("Cube")
    glowing(thing, painted(folder / "wood.png", (0.8, 0.4, 0.1, 1)))
    bpy.data.images["wood.png"].filepath = "//wood.png"
    thing.keyframe_insert("location", frame=1)
    thing.location.x = 1
    thing.keyframe_insert("location", frame=5)
    camera("Camera")
    sun()
    save(folder / "scene.blend")


def bare(folder: Path) -> None:
    """No camera, no lamp; an instanced collection far to the right, and a ground that is far too large."""
    box("Left", (-3, 0, 0))
    away = bpy.data.collections.new("Away")
    thing = box("Hidden original", (0, 0, 0))
    bpy.context.scene.collection.objects.unlink(thing)
    away.objects.link(thing)
    instance = add(bpy.data.objects.new("Right", None))
    instance.instance_type, instance.instance_collection = "COLLECTION", away
    instance.location = (5, 0, 2)
    ground = box("Ground", (0, 0, -1), 1000)
    ground.scale.z = 1e-6
    save(folder / "scene.blend")


def cameras(folder: Path) -> None:
    """Two cameras, none active, one with a name to be afraid of; a second scene; two view layers."""
    box("Cube")
    camera("Close", (0, -3, 0), active=False)
    camera(EVIL, (0, -30, 0), active=False)
    scene = bpy.context.scene
    scene.view_layers.new("Second layer")
    for frame, name in ((1, "Close"), (5, EVIL)):
        marker = scene.timeline_markers.new(name, frame=frame)
        marker.camera = bpy.data.objects[name]
    scene.name = EVIL[:60]
    bpy.data.scenes.new("Other")
    save(folder / "scene.blend")


def linked(folder: Path) -> None:
    """main -> libs/outer -> libs/sub/inner, and main -> libs/third; textures relative, absolute, and in libraries."""
    outside = folder / "outside"
    thing = box("Third", (0, 0, 1.2))
    glowing(thing, painted(outside / "libs/tex/third.png", (1, 1, 0, 1)))
    _collected("ThirdSet", thing)
    save(outside / "libs/third.blend")
    begin()
    thing = box("Inner", (1.2, 0, 0))
    glowing(thing, painted(outside / "libs/sub/tex/inner.png", (0, 0, 1, 1)))
    bpy.data.images["inner.png"].filepath = "//tex/inner.png"
    _collected("InnerSet", thing)
    save(outside / "libs/sub/inner.blend")
    begin()
    thing = box("Outer", (-1.2, 0, 0))
    glowing(thing, painted(outside / "libs/tex/outer.png", (0, 1, 0, 1)))
    _collected("OuterSet", thing, _instance_of(outside / "libs/sub/inner.blend", "InnerSet"))
    save(outside / "libs/outer.blend")
    begin()
    _instance_of(outside / "libs/third.blend", "ThirdSet")
    _instance_of(outside / "libs/outer.blend", "OuterSet")
    glowing(box("Own"), painted(outside / "own/own.png", (1, 0, 0, 1)))
    camera("Camera", (0, -6, 0))
    (folder / "shot").mkdir()
    save(folder / "shot/scene.blend")


def inactive(folder: Path) -> None:
    """Cameras, but none of them active."""
    box("Cube")
    camera("Camera B", active=False)
    camera("Camera A", active=False)
    save(folder / "scene.blend")


def _collected(name: str, *things: Any) -> None:
    collection = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(collection)
    for thing in things:
        bpy.context.scene.collection.objects.unlink(thing)
        collection.objects.link(thing)


def _instance_of(path: Path, name: str) -> Any:
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.collections = [name]
    thing = add(bpy.data.objects.new(f"Instance of {name}", None))
    thing.instance_type, thing.instance_collection = "COLLECTION", wanted.collections[0]
    return thing


def files(folder: Path) -> None:
    """One of every common kind of file beside a scene."""
    scene = bpy.context.scene
    thing = box("Cube")
    for tile in (1001, 1002, 1011):
        painted(folder / f"tex/udim.{tile}.png", (1, 1, 1, 1))
    for frame in range(1, 5):
        painted(folder / f"seq/f_{frame:04d}.png", (1, 1, 1, 1))
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    tiled = bpy.data.images.load(str(folder / "tex/udim.1001.png"))
    tiled.source, tiled.filepath = "TILED", "//tex/udim.<UDIM>.png"
    sequence = bpy.data.images.load(str(folder / "seq/f_0001.png"))
    sequence.source, sequence.filepath = "SEQUENCE", "//seq/f_0001.png"
    glowing(thing, tiled)
    glowing(thing, sequence)
    packed = painted(folder / "packed.png", (1, 1, 1, 1))
    packed.pack()
    glowing(thing, packed)
    windows = painted(folder / "tex/win dows.png", (1, 1, 1, 1))
    glowing(thing, windows)
    windows.filepath_raw = "//tex\\win dows.png"
    _write(folder / "lamp.ies", b"IESNA91\n")
    node = thing.data.materials[0].node_tree.nodes.new("ShaderNodeTexIES")
    node.mode, node.filepath = "EXTERNAL", "//lamp.ies"
    _write(folder / "points.pc2", b"POINTCACHE2\0")
    deform = thing.modifiers.new("Cache", "MESH_CACHE")
    deform.cache_format, deform.filepath = "PC2", "//points.pc2"
    cloth = thing.modifiers.new("Cloth", "CLOTH")
    _write(folder / "fog.0001.vdb", b"x")
    _write(folder / "fog.0002.vdb", b"x")
    fog = bpy.data.volumes.new("Fog")
    fog.filepath, fog.is_sequence = "//fog.0001.vdb", True
    add(bpy.data.objects.new("Fog", fog))
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("Strip", str(folder / "seq/f_0002.png"), 1, 1)
    strip.directory = "//seq/"
    camera("Camera")
    save(folder / "scene.blend")
    cloth.point_cache.use_disk_cache = True
    save(folder / "scene.blend")
    _write(folder / "blendcache_scene/43756265_000001_00.bphys", b"BPHYSICS")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def compositor(folder: Path) -> None:
    """Two File Output nodes that would write to places of their own: plain images, and all layers in one file."""
    scene = bpy.context.scene
    box("Cube")
    camera("Camera")
    sun()
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    tree.links.new(layers.outputs["Image"], end.inputs[0])
    for name, multilayer in (("Plain", False), ("Layers", True)):
        node = tree.nodes.new("CompositorNodeOutputFile")
        node.name = name
        _file_output(node, str(folder / "elsewhere"), multilayer)
        tree.links.new(layers.outputs["Image"], node.inputs[0])
    save(folder / "scene.blend")


def _file_output(node: Any, where: str, multilayer: bool) -> None:
    if hasattr(node.format, "media_type"):
        node.format.media_type = "MULTI_LAYER_IMAGE" if multilayer else "IMAGE"
    node.format.file_format = "OPEN_EXR_MULTILAYER" if multilayer else "PNG"
    if hasattr(node, "file_output_items"):
        node.directory, node.file_name = where, "pass"
        node.file_output_items.new("RGBA", "beauty/pass")
    else:
        node.base_path = where
        if multilayer:
            node.layer_slots[0].name = "beauty"
        else:
            node.file_slots[0].path = "beauty/pass"


def scripted(folder: Path) -> None:
    """A text block that registers itself and a driver, both of which would write a file where Blender runs."""
    text = bpy.data.texts.new("evil.py")
    text.write("open('text was here', 'w').close()")
    text.use_module = True
    thing = box("Cube")
    driver = thing.driver_add("location", 0).driver
    driver.expression = "open('driver was here', 'w').close() or 1"
    simple = thing.driver_add("location", 2).driver
    simple.expression = "frame * 0.1"
    camera("Camera")
    save(folder / "scene.blend")


def replaceable(folder: Path) -> None:
    """An object to be replaced, that moves and has a child; and models, off their centres, of every kind."""
    old = box("Old", (2, 3, 1))
    old.scale = (0.5, 0.5, 0.5)
    old.keyframe_insert("location", frame=1)
    old.location.x = 4
    old.keyframe_insert("location", frame=5)
    child = box("Child", (0, 0, 2))
    child.parent = old
    camera("Camera", (2, -8, 1))
    sun()
    save(folder / "scene.blend")
    begin()
    box("New", (7, -2, 5))
    bpy.context.view_layer.update()
    bpy.ops.wm.obj_export(filepath=str(folder / "model.obj"))
    bpy.ops.export_scene.gltf(filepath=str(folder / "model.glb"))
    bpy.ops.export_scene.fbx(filepath=str(folder / "model.fbx"))
    camera("Camera of the model")
    save(folder / "model.blend")
    begin()
    add(bpy.data.objects.new("Nothing", None))
    save(folder / "empty.blend")


def simulated(folder: Path) -> None:
    """A cloth that falls and was never baked."""
    thing = box("Flag")
    thing.modifiers.new("Cloth", "CLOTH")
    glowing(thing, painted(folder / "red.png", (1, 0, 0, 1)))
    bpy.data.images["red.png"].pack()
    camera("Camera", (0, -9, 0))
    save(folder / "scene.blend")


def movie(folder: Path) -> None:
    """A scene that writes a movie."""
    box("Cube")
    camera("Camera")
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    save(folder / "scene.blend")


def leftovers(folder: Path) -> None:
    """A picture that nothing uses, and a material that nothing wears, kept by fake users; their files are lost."""
    box("Cube")
    camera("Camera")
    kept = painted(folder / "kept.png", (1, 0, 0, 1))
    kept.use_fake_user = True
    thing = box("Gone")
    glowing(thing, painted(folder / "worn.png", (0, 1, 0, 1)))
    thing.data.materials[0].use_fake_user = True
    bpy.data.meshes.remove(thing.data)
    save(folder / "scene.blend")
    for image in folder.glob("*.png"):
        image.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
    sys.stdout.flush()
    os._exit(0)
