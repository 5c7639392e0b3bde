"""The same scenes, rendered here and in a container of the same Blender."""

import os
import subprocess
from pathlib import Path
from typing import Any

import docker
import numpy
import OpenImageIO as oiio
import pytest

from renderctl.blender.find import Blender, format_version
from renderctl.executors.images import RenderImage
from tests.blender.conftest import blenders
from tests.lacking import lacking

SCENES = ("cube", "cameras", "simulated", "replaceable")
RENDER = """
import bpy, os, sys
scenes, folder, *names = sys.argv[sys.argv.index("--") + 1:]
for name in names:
    bpy.ops.wm.open_mainfile(filepath=f"{scenes}/{name}/scene.blend", use_scripts=False)
    scene = bpy.context.scene
    scene.camera = scene.camera or next(each for each in scene.objects if each.type == "CAMERA")
    render = scene.render
    render.engine, render.resolution_x, render.resolution_y, render.resolution_percentage = "CYCLES", 96, 64, 100
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 8, True, "CPU"
    render.image_settings.file_format, render.filepath = "OPEN_EXR", f"{folder}/{name}.exr"
    scene.world = scene.world or bpy.data.worlds.new("World")
    scene.world.color = 0.3, 0.5, 0.7
    scene.frame_set(3)
    bpy.ops.render.render(write_still=True)
os._exit(0)
"""


@pytest.fixture(scope="session")
def module() -> Blender:
    """The bpy beside us: the image has the same."""
    found = [blender for blender in blenders() if blender.module]
    if not found:
        lacking("There is no bpy beside us: pip install 'renderctl[blender]'")
    return found[0]


def here(blender: Blender, scenes: Path, folder: Path) -> None:
    words = [str(blender.program), "-c", RENDER, "--", str(scenes), str(folder), *SCENES]
    subprocess.run(words, check=True, capture_output=True)


def contained(host: str, image: RenderImage, scenes: Path, folder: Path) -> None:
    client = docker.DockerClient(host)
    words = [str(image.program), "-c", RENDER, "--", str(scenes), str(folder), *SCENES]
    mounts = {str(scenes): {"bind": str(scenes), "mode": "ro"}, str(folder): {"bind": str(folder), "mode": "rw"}}
    try:
        client.containers.run(
            image.digest,
            words,
            remove=True,
            volumes=mounts,
            user=f"{os.getuid()}:{os.getgid()}",
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": ""},
            environment={"HOME": "/tmp", "TMPDIR": "/tmp"},
        )
    finally:
        client.close()


def test_an_image_renders_what_the_same_blender_renders_here(
    module: Blender, docker_host: str, render_image: RenderImage, scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert format_version(module.version) == render_image.blender
    ours, theirs = (tmp_path_factory.mktemp(name) for name in ("here", "contained"))
    here(module, scenes, ours)
    contained(docker_host, render_image, scenes, theirs)
    for name in SCENES:
        expected, found = (pixels(folder / f"{name}.exr") for folder in (ours, theirs))
        assert expected.shape == (64, 96, 4)
        assert numpy.array_equal(expected, found), name
        assert expected[..., :3].std() > 0, name


def pixels(path: Path) -> Any:
    image = oiio.ImageInput.open(str(path))
    try:
        return image.read_image(0, 0, 0, 4, oiio.FLOAT)
    finally:
        image.close()
