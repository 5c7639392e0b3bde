"""A scene is uploaded, its folder deleted, and another process with an empty cache renders it: pixel for pixel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import OpenImageIO as oiio
import pytest

pytestmark = pytest.mark.blender
HERE = Path(__file__).parent
BARE = HERE.parents[1] / "benchmarks" / "bare_blender.py"


def python(*words: object, **variables: str) -> str:
    environment = {**os.environ, **variables}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=240).stdout


def pixels(path: Path) -> bytes:
    return oiio.ImageBuf(str(path)).get_pixels(oiio.UINT8).tobytes()


def test_a_scene_renders_where_none_of_its_files_exist(tmp_path: Path) -> None:
    original, data, out = tmp_path / "original", str(tmp_path / "data"), tmp_path / "out"
    python(HERE / "packed_scene.py", original)
    scene = original / "project" / "shots" / "shot.blend"
    (tmp_path / "bare").mkdir()
    python(BARE, scene, 1, 1, tmp_path / "bare")
    job_id = python("-m", "renderctl", "submit", scene, "-f", "1", RENDERCTL_DATA_DIR=data).strip()
    shutil.rmtree(original)
    python("-m", "renderctl", "worker", "--exit-when-idle", "0.5", RENDERCTL_DATA_DIR=data)
    python("-m", "renderctl", "download", job_id, "-o", out, RENDERCTL_DATA_DIR=data)
    colours = {tuple(pixels(out / "shot" / "0001.png")[at : at + 3]) for at in range(0, 96 * 54 * 4, 4)}
    assert len(colours) > 4, "the boxes have their textures"
    assert pixels(out / "shot" / "0001.png") == pixels(tmp_path / "bare" / "0001.png")
