"""Make the example scene: a tin robot on a turntable, 48 frames that loop.

    python make_scene.py OUTDIR                   with the bpy module, or
    blender -b -P make_scene.py -- OUTDIR         Blender 4.2 and later

Writes OUTDIR/turntable.blend, OUTDIR/library/tin_robot.blend, which it links, and OUTDIR/textures/, all
found by relative paths: the folder can be moved, and uploading the scene has something to pack.
"""

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))

from materials import relative
from robot import COLLECTION, build_robot, make_palette
from shapes import Builder, Place
from stage import TOP, build_stage
from textures import write_textures

FRAMES = 48


def main() -> None:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    if len(arguments) != 1:
        sys.exit("usage: make_scene.py OUTDIR")
    folder = Path(arguments[0]).absolute()
    write_textures(folder / "textures")
    library = folder / "library" / "tin_robot.blend"
    make_library(library, folder / "textures")
    make_turntable(folder / "turntable.blend", library, folder / "textures")
    print(f"Made {folder / 'turntable.blend'}")


def make_library(path: Path, textures: Path) -> None:
    """The robot in a file of its own."""
    _empty_scene()
    build_robot(make_palette(textures, path.parent), FRAMES)
    _save(path)


def make_turntable(path: Path, library: Path, textures: Path) -> None:
    """The stage, with the robot linked onto it."""
    _empty_scene()
    table = build_stage(textures, path.parent, FRAMES)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = [COLLECTION]
    bpy.data.libraries[0].filepath = relative(library, path.parent)
    robot = Builder(bpy.context.scene.collection).add("Tin Robot", None, None, Place((0, 0, TOP), parent=table))
    robot.instance_type, robot.instance_collection = "COLLECTION", wanted.collections[0]
    _render_settings(bpy.context.scene)
    _save(path)


def _render_settings(scene: bpy.types.Scene) -> None:
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 640, 360, 100
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - High Contrast"
    cycles = scene.cycles
    cycles.samples, cycles.use_adaptive_sampling = 20, True
    cycles.adaptive_threshold, cycles.adaptive_min_samples = 0.1, 8
    cycles.use_denoising, cycles.denoising_prefilter = True, "FAST"
    cycles.seed, cycles.use_light_tree = 0, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 5, 1, 3, 5
    cycles.sample_clamp_indirect, cycles.blur_glossy, cycles.caustics_reflective = 4.0, 1.0, False


def _empty_scene() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside it


def _save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


if __name__ == "__main__":
    main()
