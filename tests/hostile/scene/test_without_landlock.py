"""Where the kernel has no Landlock: one's own files are rendered, and nobody else's unless the config says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.no_landlock import __file__ as without_landlock

pytestmark = pytest.mark.slow


def renderctl(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {"RENDERCTL_DATA_DIR": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path), "NO_COLOR": "1"}
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RENDERCTL_")}
    command = [sys.executable, without_landlock, sys.executable, "-m", "renderctl", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**kept, **own, **environment}
    )


def test_a_worker_refuses_and_says_what_to_do(tmp_path: Path) -> None:
    refused = renderctl(tmp_path, "worker", "--exit-when-idle", "0.1")
    assert refused.returncode == 8
    assert "no Landlock" in refused.stderr
    assert "worker.unwalled" in refused.stderr
    assert "executor.kind: docker" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.blender
def test_a_worker_works_if_the_config_takes_the_risk_on(tmp_path: Path) -> None:
    worked = renderctl(tmp_path, "worker", "--exit-when-idle", "0.1", RENDERCTL_WORKER__UNWALLED="true")
    assert worked.returncode == 0, worked.stderr


@pytest.mark.blender
def test_ones_own_files_are_rendered_and_the_doctor_warns(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    maker = [sys.executable, str(root / "tests/quick_scene.py"), str(tmp_path / "own.blend")]
    subprocess.run(maker, check=True, capture_output=True)
    rendered = renderctl(tmp_path, "render", "own.blend", "-f", "1", "-o", "images")
    assert rendered.returncode == 0, rendered.stderr
    assert (tmp_path / "images/own/0001.png").is_file()
    found = json.loads(renderctl(tmp_path, "doctor", "--json").stdout)
    (executor,) = (part for part in found if part["part"] == "executor")
    assert executor["ok"]
    assert "no Landlock" in executor["hint"]
