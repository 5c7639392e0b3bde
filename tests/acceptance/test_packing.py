"""A scene is uploaded, its folder deleted, and another process with an empty cache renders it: pixel for pixel."""

import shutil
import subprocess
import sys
from pathlib import Path

import OpenImageIO as oiio
import pytest

from renderctl.core.settings import Settings
from tests.farms import quick_settings
from tests.nodes import Site

pytestmark = pytest.mark.blender
EITHER_WAY = True
HERE = Path(__file__).parent
BARE = HERE.parents[1] / "benchmarks" / "bare_blender.py"


def python(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True, timeout=240)


def pixels(path: Path) -> bytes:
    read = oiio.ImageBuf(str(path)).get_pixels(oiio.UINT8)
    assert read is not None
    return bytes(read.tobytes())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What is packed is the same on every store."""
    return quick_settings(tmp_path)


def said(site: Site, *words: object) -> str:
    done = site.run(*map(str, words))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_scene_renders_where_none_of_its_files_exist(site: Site, tmp_path: Path) -> None:
    original, out = tmp_path / "original", tmp_path / "out"
    python(HERE / "packed_scene.py", original)
    scene = original / "project" / "shots" / "shot.blend"
    (tmp_path / "bare").mkdir()
    python(BARE, scene, 1, 1, tmp_path / "bare")
    job_id = said(site, "submit", scene, "-f", "1", "--include-outside").strip()
    shutil.rmtree(original)
    worker = site.start("worker", "worker", "--exit-when-idle", "0.5")
    assert worker.process.wait(240) == 0
    said(site, "download", job_id, "-o", out)
    colours = {tuple(pixels(out / "shot" / "0001.png")[at : at + 3]) for at in range(0, 96 * 54 * 4, 4)}
    assert len(colours) > 4, "the boxes have their textures"
    assert pixels(out / "shot" / "0001.png") == pixels(tmp_path / "bare" / "0001.png")
