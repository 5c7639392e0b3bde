"""Materials of the example, as small shader graphs."""

from pathlib import Path

import bpy

Colour = tuple[float, float, float]  #: linear


def plain(name: str, colour: Colour, **inputs: float) -> bpy.types.Material:
    """One colour; `inputs` are the shader's, with `_` for a space: metallic=1, coat_weight=0.5."""
    material, shader = _new(name)
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    for key, value in inputs.items():
        shader.inputs[key.replace("_", " ").title()].default_value = value
    return material


def glow(name: str, colour: Colour, strength: float) -> bpy.types.Material:
    """Gives light of its own, under a glossy skin."""
    material, shader = _new(name)
    shader.inputs["Base Color"].default_value = (*(0.5 * part for part in colour), 1.0)
    shader.inputs["Roughness"].default_value = 0.15
    shader.inputs["Emission Color"].default_value = (*colour, 1.0)
    shader.inputs["Emission Strength"].default_value = strength
    material.cycles.emission_sampling = "NONE"  # it glows, the lamps light: less noise
    return material


def painted(name: str, paint: Path, wear: Path, blend_folder: Path) -> bpy.types.Material:
    """Paint over metal; `wear` says how rough it is (red) and where it is bare (green)."""
    material, shader = _new(name)
    links, nodes = material.node_tree.links, material.node_tree.nodes
    colour, worn = (_texture(nodes, path, blend_folder) for path in (paint, wear))
    worn.image.colorspace_settings.name = "Non-Color"
    parts = nodes.new("ShaderNodeSeparateColor")
    links.new(colour.outputs["Color"], shader.inputs["Base Color"])
    links.new(worn.outputs["Color"], parts.inputs["Color"])
    links.new(parts.outputs["Red"], shader.inputs["Roughness"])
    links.new(parts.outputs["Green"], shader.inputs["Metallic"])
    shader.inputs["Coat Weight"].default_value = 0.25
    return material


def stone(name: str, picture: Path, blend_folder: Path, size: float) -> bpy.types.Material:
    """Polished; the picture laid on from all six sides, repeating every `size` units."""
    material, shader = _new(name)
    links, nodes = material.node_tree.links, material.node_tree.nodes
    texture = _texture(nodes, picture, blend_folder)
    texture.projection, texture.projection_blend = "BOX", 0.1
    where, scale = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    scale.inputs["Scale"].default_value = (1 / size,) * 3
    links.new(where.outputs["Object"], scale.inputs["Vector"])
    links.new(scale.outputs["Vector"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Roughness"].default_value = 0.22
    return material


def relative(path: Path, blend_folder: Path) -> str:
    """`path` as Blender writes it in a file in `blend_folder`: //../textures/x.png."""
    return bpy.path.relpath(str(path), start=str(blend_folder))


def _new(name: str) -> tuple[bpy.types.Material, bpy.types.ShaderNode]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # Blender before 5.0
        material.use_nodes = True
    return material, next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def _texture(nodes: bpy.types.Nodes, path: Path, blend_folder: Path) -> bpy.types.ShaderNodeTexImage:
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(path))
    texture.image.filepath = relative(path, blend_folder)
    return texture
