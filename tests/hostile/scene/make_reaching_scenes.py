"""Scenes that reach for what is none of theirs: `python make_reaching_scenes.py FOLDER IMAGE FILE TARGET`, with bpy.

absolute.blend shows the image at an absolute path; shader.blend compiles an OSL shader that includes the file;
writer.blend has a scene that a strip reaches, whose File Output writes to the target; library.blend links from a file
beside IMAGE; model.gltf has its vertices in the file.
"""

import json
import sys
from pathlib import Path

import bpy

SIZE = 16


def fresh(engine: str = "CYCLES") -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Raw"
    _set_up(scene, engine)
    return scene


def _set_up(scene: bpy.types.Scene, engine: str = "CYCLES") -> None:
    scene.render.engine = engine
    scene.cycles.samples = 1
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 2)
    scene.collection.objects.link(camera)
    scene.camera = camera


def plane_with(node_type: str) -> tuple[bpy.types.Node, bpy.types.NodeTree, bpy.types.Node]:
    """A plane before the camera that glows as a node says."""
    bpy.ops.mesh.primitive_plane_add(size=9)
    material = bpy.data.materials.new("Material")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    output, glow = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeEmission")
    node = tree.nodes.new(node_type)
    tree.links.new(glow.outputs[0], output.inputs[0])
    bpy.context.object.data.materials.append(material)
    return node, tree, glow


def absolute(folder: Path, image: str) -> None:
    fresh()
    node, tree, glow = plane_with("ShaderNodeTexImage")
    node.image = bpy.data.images.load(image)
    node.image.colorspace_settings.name = "Non-Color"
    tree.links.new(node.outputs[0], glow.inputs[0])
    _save(folder / "absolute.blend")


def shader(folder: Path, file: str) -> None:
    scene = fresh()
    scene.cycles.shading_system = True
    source = f'shader reach(output color c = 0) {{\nint\n#include "{file}"\nc = 1; }}\n'
    (folder / "reach.osl").write_text(source, encoding="utf-8")
    node, tree, glow = plane_with("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", "//reach.osl"
    node.outputs.new("NodeSocketColor", "c")
    tree.links.new(node.outputs[0], glow.inputs[0])
    _save(folder / "shader.blend")


def writer(folder: Path, target: Path) -> None:
    main = fresh()
    other = bpy.data.scenes.new("Other")
    _set_up(other)
    group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    other.compositing_node_group = group
    group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    layers, end = group.nodes.new("CompositorNodeRLayers"), group.nodes.new("NodeGroupOutput")
    layers.scene = other
    file = group.nodes.new("CompositorNodeOutputFile")
    file.directory, file.file_name = f"{target.parent}/", target.name
    file.format.media_type, file.format.file_format = "IMAGE", "PNG"
    file.file_output_items.new("RGBA", "Image")
    for node in (file, end):
        group.links.new(layers.outputs[0], node.inputs[0])
    main.sequence_editor_create().strips.new_scene("Strip", other, 1, 1)
    main.frame_start, main.frame_end = 1, 2
    _save(folder / "writer.blend")


def library(folder: Path, other: Path) -> None:
    fresh()
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Treasure"
    _save(other)
    fresh()
    with bpy.data.libraries.load(str(other), link=True) as (_, wanted):
        wanted.objects = ["Treasure"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    _save(folder / "library.blend")


def model(folder: Path, file: str) -> None:
    count = Path(file).stat().st_size // 12
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"uri": file, "byteLength": count * 12}],
        "bufferViews": [{"buffer": 0, "byteLength": count * 12}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}],
    }
    (folder / "model.gltf").write_text(json.dumps(document), encoding="utf-8")


def _save(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


if __name__ == "__main__":
    made, seen, read, written = sys.argv[1:]
    absolute(Path(made), seen)
    shader(Path(made), read)
    writer(Path(made), Path(written))
    library(Path(made), Path(seen).with_name("treasure.blend"))
    model(Path(made), read)
