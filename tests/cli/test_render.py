"""`render` with a real Blender: what it says, what it leaves, and what becomes of it when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ctl

pytestmark = pytest.mark.blender
#: Whatever the server, it is this machine that renders; the server that is asked about the job serves its farm.
EITHER_WAY = True

MAKE_SCENE = """
import bpy, sys
bpy.ops.wm.read_homefile(app_template="")
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.render.resolution_x = scene.render.resolution_y = 32
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cube that Blender starts with, small."""
    path = tmp_path_factory.mktemp("scene") / "cube.blend"
    subprocess.run([sys.executable, "-c", MAKE_SCENE, path], check=True, capture_output=True)
    return path


@pytest.fixture
def start(tmp_path: Path, data_dir: Path, server: dict[str, str]) -> Iterator[Start]:
    """Start `renderctl` and go on beside it."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: object) -> "subprocess.Popen[str]":
        environment = {**os.environ, "RENDERCTL_DATA_DIR": str(data_dir), "HOME": str(tmp_path), **server}
        command = [sys.executable, "-m", "renderctl", *map(str, words)]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True, bufsize=1)
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for_a_frame(folder: Path, process: Any) -> None:
    """Wait until an image stands in the folder."""
    for line in process.stderr:
        if line.startswith("Blender"):
            break
    while process.poll() is None and not list(folder.rglob("*.png")):
        time.sleep(0.01)


def test_render_says_where_the_images_are_and_what_rendered_them(process: Ctl, scene: Path, tmp_path: Path) -> None:
    said = process("render", scene, "-f", "1-3", "-o", "images")
    assert said.code == 0
    assert said.out == f"{tmp_path}/images/cube  (3 files)\n"
    assert "CYCLES on" in said.err
    assert sorted(path.name for path in (tmp_path / "images/cube").glob("*.png")) == [
        "0001.png",
        "0002.png",
        "0003.png",
    ]


def test_render_prints_one_document_and_nothing_else_when_quiet(process: Ctl, scene: Path, tmp_path: Path) -> None:
    said = process("render", "--json", "-q", scene, "-f", "-1-0")
    assert (said.code, said.err) == (0, "")
    assert said.document["state"] == "succeeded"
    assert said.document["folder"] == str(tmp_path / "renders/cube")


def test_a_render_that_fails_ends_with_3_and_says_why(process: Ctl, scene: Path) -> None:
    said = process("render", scene, "--frame-timeout", "0.01", "--attempts", "1", "--resolution", "2000x2000", "--json")
    assert said.code == 3
    assert said.document["state"] == "failed"
    assert "failed" in said.err


def test_an_option_that_the_scene_refuses_leaves_no_job_behind(process: Ctl, scene: Path) -> None:
    said = process("render", scene, "--set", "cycles.max_bouces=3", "--json")
    assert (said.code, "max_bounces" in said.out) == (9, True)
    assert process("jobs", "--json").document == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_render_keeps_its_frames_and_goes_on_later(
    process: Ctl, start: Start, scene: Path, tmp_path: Path, how: signal.Signals
) -> None:
    rendering = start("render", scene, "-f", "1-40", "-o", "images", "--samples", "4")
    wait_for_a_frame(tmp_path / "images", rendering)
    rendering.send_signal(how)
    _, said = rendering.communicate(timeout=60)
    assert rendering.returncode == 130
    job = process("jobs", "--json").document[0]
    assert job["state"] == "paused"
    assert 1 <= job["tasks"]["succeeded"] < 40
    assert f"renderctl render --job {job['id']}" in said
    resumed = process("render", "--job", job["id"], "-o", "images", "--json")
    assert resumed.document["tasks"]["succeeded"] == 40
    assert len(list((tmp_path / "images/cube").glob("*.png"))) == 40


@pytest.mark.directly
def test_a_worker_that_is_told_to_end_finishes_its_frame(process: Ctl, start: Start, scene: Path) -> None:
    job = json.loads(start("submit", scene, "-f", "1-500", "--json").communicate(timeout=60)[0])["id"]
    worker = start("worker")
    for line in worker.stderr or ():
        if "frame 2" in line:
            break
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    tasks = process("status", job, "--json").document["tasks"]
    assert tasks["running"] == tasks["failed"] == 0
    assert 2 <= tasks["succeeded"] < 500
