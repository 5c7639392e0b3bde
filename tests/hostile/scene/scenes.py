"""Scenes that mean harm, made by the Blender that is to render them: `python scenes.py FOLDER`, with bpy."""

import shutil
import sys
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parents[2] / "blender"))
from blocks import begin, box, camera, save, sun

#: What a script that the job trusts does with the channel to the worker: a word of the stamp note says which.
TALKER = r"""
import bpy, gc, json, time

LINES = {
    "empty": "{}",
    "deep": '{"event": ' + "[" * 100_000,
    "nul": json.dumps({"event": "done", "files": [{"path": "a\0", "name": "a\0"}], "seconds": 1, "memory_mb": 1}),
    "huge": '{"event": "done", "files": [], "seconds": ' + "9" * 5000 + ', "memory_mb": 1}',
}

def talk(scene, *_):
    line = LINES.get(scene.render.stamp_note_text)
    if line is None:
        return
    (channel,) = (found for found in gc.get_objects() if type(found).__name__ == "ProtocolChannel")
    channel._events.write("@renderctl " + line + "\n")
    channel._events.flush()
    time.sleep(60)

bpy.app.handlers.render_pre.append(talk)
"""


def main(folder: Path) -> None:
    for build in (talking, outputs, views, fluid, shader, loose_shader, lens, style, idle_style, linked):
        target = folder / build.__name__
        target.mkdir(parents=True)
        begin()
        build(target)


def talking(folder: Path) -> None:
    """A script that speaks in place of the session."""
    text = bpy.data.texts.new("talk.py")
    text.write(TALKER)
    text.use_module = True
    box("Cube")
    camera("Camera")
    sun()
    save(folder / "scene.blend")


def _tree(scene: Any) -> Any:
    """The compositor of a scene, its picture passed on."""
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    tree.links.new(layers.outputs["Image"], end.inputs[0])
    return tree


def _file_output(tree: Any, where: Path, item: str, name: str = "File Output") -> Any:
    """A File Output node that would write to a place of its own."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    node.name = name
    if hasattr(node, "file_output_items"):
        node.format.media_type = "IMAGE"
        node.directory, node.file_name = str(where), "rc"
        node.file_output_items.new("RGBA", item)
    else:
        node.base_path = str(where)
        node.file_slots[0].path = item
    node.format.file_format = "PNG"
    source = next((entry for entry in tree.nodes if entry.bl_idname == "CompositorNodeRLayers"), None)
    if source is not None:
        tree.links.new(source.outputs["Image"], node.inputs[0])
    return node


def _another_scene(name: str) -> Any:
    scene = bpy.data.scenes.new(name)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.camera = bpy.data.objects["Camera"]
    scene.collection.objects.link(scene.camera)
    scene.render.use_file_extension = False
    return scene


def outputs(folder: Path) -> None:
    """File Output nodes everywhere: in scenes behind strips and passes, muted, in groups, with the same names."""
    elsewhere = folder / "elsewhere"
    shown = bpy.context.scene
    shown.name = "Shown"
    box("Cube")
    camera("Camera")
    strip, layer, composed = (_another_scene(name) for name in ("Strip", "Pass", "Composed"))
    _file_output(_tree(strip), elsewhere, "Image")
    _file_output(_tree(layer), elsewhere, "Image")
    _file_output(_tree(shown), elsewhere, ".bash")
    editor = shown.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_scene("Strip", strip, 1, 1)
    tree = _tree(composed)
    _file_output(tree, elsewhere, "Image", "Muted").mute = True
    _file_output(tree, elsewhere, "Image")
    tree.nodes.new("CompositorNodeRLayers").scene = layer
    inner = _group("Inner", elsewhere)
    outer = _group("Outer", elsewhere, inner)
    used = tree.nodes.new("CompositorNodeGroup")
    used.node_tree = outer
    source = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeRLayers")
    tree.links.new(source.outputs["Image"], used.inputs[0])
    save(folder / "scene.blend")


def _group(name: str, where: Path, inner: Any = None) -> Any:
    """A node group that writes what goes into it, by itself or by the group inside of it."""
    group = bpy.data.node_groups.new(name, "CompositorNodeTree")
    group.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    start = group.nodes.new("NodeGroupInput")
    if inner is None:
        end = _file_output(group, where, "Grouped")
    else:
        end = group.nodes.new("CompositorNodeGroup")
        end.node_tree = inner
    group.links.new(start.outputs[0], end.inputs[0])
    return group


def views(folder: Path) -> None:
    """Views whose suffixes lead out of the folder of the frame."""
    render = bpy.context.scene.render
    render.use_multiview, render.views_format = True, "MULTIVIEW"
    render.image_settings.views_format = "INDIVIDUAL"
    for view in render.views:
        view.file_suffix = f"/../../escaped_{view.name}"
    box("Cube")
    camera("Camera")
    save(folder / "scene.blend")


def fluid(folder: Path) -> None:
    """A fluid that keeps its cache elsewhere, and another with a bake beside the scene."""
    camera("Camera")
    for name, cache in (("Elsewhere", str(folder.parent / "fluid elsewhere")), ("Baked", "//baked")):
        modifier = box(name).modifiers.new("Fluid", "FLUID")
        modifier.fluid_type = "DOMAIN"
        modifier.domain_settings.cache_directory = cache
        modifier.domain_settings.resolution_max = 8
    save(folder / "scene.blend")
    shutil.rmtree(folder.parent / "fluid elsewhere", ignore_errors=True)
    shutil.rmtree(folder / "baked", ignore_errors=True)
    (folder / "baked/data").mkdir(parents=True)
    (folder / "baked/data/fluid_data_0001.uni").write_bytes(b"x")


def _material(thing: Any, script: Path, *, linked: bool) -> None:
    material = bpy.data.materials.new("Shady")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    shader, glow, out = (nodes.new(f"ShaderNode{kind}") for kind in ("Script", "Emission", "OutputMaterial"))
    shader.mode, shader.filepath = "EXTERNAL", str(script)
    shader.outputs.new("NodeSocketColor", "c")
    if linked:
        links.new(shader.outputs[0], glow.inputs[0])
    links.new(glow.outputs[0], out.inputs[0])
    thing.data.materials.append(material)


def _osl(folder: Path, signature: str) -> Path:
    """An OSL shader that has a file of the host printed into the log, as an error of its compiler."""
    (folder / "secret.env").write_text("PASSWORD=hunter2\n")
    script = folder / "shader.osl"
    script.write_text(f'#include "{folder / "secret.env"}"\nshader s({signature}) {{ }}\n')
    return script


def shader(folder: Path) -> None:
    """A material that an OSL shader of the author's colours."""
    bpy.context.scene.cycles.shading_system = True
    _material(box("Cube", size=4), _osl(folder, "output color c = 0"), linked=True)
    camera("Camera")
    save(folder / "scene.blend")


def loose_shader(folder: Path) -> None:
    """The same shader, which nothing leads from: the picture does without."""
    bpy.context.scene.cycles.shading_system = True
    bpy.context.scene.cycles.keyframe_insert("shading_system", frame=1)
    _material(box("Cube", size=4), _osl(folder, "output color c = 0"), linked=False)
    camera("Camera")
    save(folder / "scene.blend")


def lens(folder: Path) -> None:
    """A camera whose rays an OSL shader makes, whatever the shading system is (4.5 on)."""
    data = camera("Camera").data
    if hasattr(data, "custom_filepath"):
        data.type, data.custom_mode = "CUSTOM", "EXTERNAL"
        rays = "output point position = 0, output vector direction = vector(0, 0, 1), output color throughput = 1"
        data.custom_filepath = str(_osl(folder, rays))
    box("Cube")
    save(folder / "scene.blend")


def _styled(folder: Path) -> Any:
    """Python that draws the lines of Freestyle, and writes a file."""
    scene = bpy.context.scene
    scene.render.use_freestyle = True
    scene.view_layers[0].use_freestyle = True
    settings = scene.view_layers[0].freestyle_settings
    settings.mode = "SCRIPT"
    text = bpy.data.texts.new("style.py")
    text.write(f"open({str(folder / 'style was here')!r}, 'w').close()\n")
    module = settings.modules.new()
    module.script, module.use = text, True
    box("Cube")
    camera("Camera")
    return scene


def style(folder: Path) -> None:
    """A style module that draws."""
    _styled(folder)
    save(folder / "scene.blend")


def idle_style(folder: Path) -> None:
    """A style module that would draw if Freestyle were on."""
    _styled(folder).render.use_freestyle = False
    save(folder / "scene.blend")


def linked(folder: Path) -> None:
    """All of it in a library: a scene behind a strip, with outputs, a fluid, a shader and a style module."""
    other = _styled(folder)
    other.name = "Linked"
    other.cycles.shading_system = True
    modifier = bpy.data.objects["Cube"].modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    modifier.domain_settings.cache_directory = str(folder.parent / "linked elsewhere")
    modifier.domain_settings.resolution_max = 8
    _material(bpy.data.objects["Cube"], _osl(folder, "output color c = 0"), linked=False)
    other.render.use_freestyle = False
    _file_output(_tree(other), folder / "elsewhere", "Image")
    save(folder / "library.blend")
    shutil.rmtree(folder.parent / "linked elsewhere", ignore_errors=True)
    begin()
    with bpy.data.libraries.load(str(folder / "library.blend"), link=True) as (_, there):
        there.scenes = ["Linked"]
    shown = bpy.context.scene
    shown.name = "Shown"
    camera("Own camera")
    _file_output(_tree(shown), folder / "elsewhere", "Image")
    editor = shown.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_scene("Strip", there.scenes[0], 1, 1)
    save(folder / "scene.blend")
    shutil.rmtree(folder.parent / "linked elsewhere", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
