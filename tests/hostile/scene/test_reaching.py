"""Scenes that reach for files of the machine, opened and rendered with none of our templates: the sandbox has to hold.

Each of them got what it wanted when sessions had no sandbox.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import OpenImageIO as oiio
import pytest

from renderctl.blender.find import find_blenders
from renderctl.blender.templates import templates_dir
from renderctl.core.errors import BlenderMissing
from renderctl.executors import LaunchSpec, SessionProcess
from renderctl.executors.process import ProcessExecutor, SandboxOptions
from renderctl.executors.sandbox import ForbiddenPaths, landlock_version
from tests.lacking import lacking

pytestmark = pytest.mark.blender
HUSH = "RENDERCTL_STORE__SECRET_KEY=hush_hush_hush\n"
RED = (0.75, 0.25, 0.5)

_RENDER = """
import bpy
bpy.ops.wm.open_mainfile(filepath={scene!r}, load_ui=False, use_scripts=False)
scene = bpy.context.scene
scene.render.filepath = {image!r}
scene.render.image_settings.file_format = "PNG"
scene.frame_set(1)
try:
    bpy.ops.render.render(write_still=True)
except RuntimeError as error:
    print(error)
"""
_IMPORT = """
import bpy, struct
try:
    bpy.ops.import_scene.gltf(filepath={scene!r})
except Exception as error:
    print(type(error).__name__, error)
for mesh in bpy.data.meshes:
    for vertex in mesh.vertices:
        print(struct.pack("<fff", vertex.co[0], vertex.co[2], -vertex.co[1]))
"""


@dataclass(frozen=True)
class Farm:
    """A machine with a farm's files, a config, and a session that is shown one folder of scenes."""

    scenes: Path
    victim: Path
    scratch: Path
    session: SessionProcess

    def run(self, script: str, scene: str) -> str:
        """Have Blender run a script for a scene; all that it printed."""
        image = self.scratch / f"{Path(scene).stem}.png"
        file = self.scratch / "script.py"
        file.write_text(script.format(scene=str(self.scenes / scene), image=str(image)))
        self.session.send(json.dumps({"run": str(file)}))
        lines: list[str] = []
        while not (lines and '"left"' in lines[-1]):
            lines.append(self.session.receive(120) or "")
        return "\n".join(lines) + (self.scratch.parent / "log").read_text(errors="replace")

    def colour(self, scene: str) -> tuple[float, ...]:
        pixels = oiio.ImageBuf(str(self.scratch / f"{Path(scene).stem}.png")).get_pixels(oiio.FLOAT)
        assert pixels is not None
        return tuple(round(float(value), 2) for value in pixels[8, 8, :3])


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    if not landlock_version():
        lacking("needs a kernel with Landlock (Linux 5.13 or newer)")
    folder = tmp_path_factory.mktemp("reaching")
    data, victim, scenes, scratch = folder / "data", folder / "victim", folder / "scenes", folder / "session"
    blob = data / "store/ab/cdef"
    for made in (blob.parent, victim, scenes, scratch):
        made.mkdir(parents=True)
    (victim / ".env").write_text(HUSH * 3)
    (victim / "renderctl.db").write_text("jobs")
    picture = oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, oiio.FLOAT))
    oiio.ImageBufAlgo.fill(picture, RED)
    picture.write(str(blob.with_suffix(".png")))
    blob.with_suffix(".png").rename(blob)
    maker = Path(__file__).with_name("make_reaching_scenes.py")
    arguments = (scenes, blob, victim / ".env", victim / "renderctl.db")
    made_it = subprocess.run([sys.executable, maker, *arguments], capture_output=True, text=True, check=False)
    assert made_it.returncode == 0, made_it.stdout + made_it.stderr
    session = _session(folder, data, scratch, scenes)
    yield Farm(scenes, victim, scratch, session)
    session.stop()


def _session(folder: Path, data: Path, scratch: Path, scenes: Path) -> SessionProcess:
    try:
        blender = find_blenders([], cache_dir=folder)[0]
    except BlenderMissing:
        lacking("There is no Blender: pip install 'renderctl[blender]'")
    executor = ProcessExecutor(folder / "drivers", sandbox=SandboxOptions(ForbiddenPaths(data)))
    inputs = (templates_dir(), scenes)
    return executor.start(LaunchSpec(blender.argv(), scratch, folder / "log", blender.environment, inputs))


def test_an_absolute_path_shows_no_blob_of_the_store(farm: Farm) -> None:
    farm.run(_RENDER, "absolute.blend")
    assert farm.colour("absolute.blend") == (1.0, 0.0, 1.0)  # what Blender shows for an image that is missing


def test_a_shader_that_includes_a_config_prints_nothing_of_it(farm: Farm) -> None:
    printed = farm.run(_RENDER, "shader.blend")
    assert "hush" not in printed
    assert "reach.osl" in printed  # it was compiled, and failed


def test_a_file_output_of_a_scene_in_a_strip_writes_nowhere(farm: Farm) -> None:
    before = sorted(farm.victim.iterdir())
    farm.run(_RENDER, "writer.blend")
    assert (farm.scratch / "writer.png").is_file()
    assert sorted(farm.victim.iterdir()) == before
    assert (farm.victim / "renderctl.db").read_text() == "jobs"


def test_a_library_that_lies_elsewhere_brings_nothing(farm: Farm) -> None:
    printed = farm.run(
        _RENDER + "print([thing.data for thing in bpy.data.objects if thing.type == 'MESH'])", "library.blend"
    )
    assert "bpy.data.meshes" not in printed
    assert "Treasure" in printed  # it is missed


def test_a_model_whose_vertices_are_a_config_brings_nothing_of_it(farm: Farm) -> None:
    printed = farm.run(_IMPORT, "model.gltf")
    assert "hush" not in printed
    assert "Error" in printed
