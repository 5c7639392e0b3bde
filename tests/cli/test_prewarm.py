"""What `render` does before anything else: it starts its Blender."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from renderctl.blender.find import find_blenders
from renderctl.cli import context
from renderctl.cli.prewarm import prewarm
from renderctl.repository.schema import audit, counts, jobs, people, quotas, webhooks
from renderctl.repository.schema.jobs import Row

#: Says which modules are there when the first program is started, and starts none.
WHEN_BLENDER_STARTS = """
import subprocess, sys
class Popen:
    def __init__(self, argv, **_):
        print(argv[-1])
        print(*sys.modules)
        raise SystemExit
subprocess.Popen = Popen
from renderctl.cli import run
run(sys.argv[1:])
"""
HEAVY = {"typer", "rich", "jinja2", "sqlalchemy", "pydantic", "psutil", "yaml", "zstandard", "urllib3"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "shot.blend"
    path.write_bytes(b"BLENDER-v402RENDH")
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What says that it is a Blender, and has been asked already: that is remembered."""
    program = tmp_path / "bin/blender"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Blender 4.2.1'\n")
    program.chmod(0o755)
    find_blenders([str(program)], cache_dir=tmp_path / "data")
    return program


def test_blender_starts_before_anything_heavy_is_imported(scene: Path, program: Path, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RENDERCTL_")}
    environment |= {"RENDERCTL_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    environment["RENDERCTL_BLENDER__PATHS"] = str(program)
    command = [sys.executable, "-c", WHEN_BLENDER_STARTS, "render", str(scene), "-f", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    started, modules = done.stdout.splitlines()
    assert started.endswith("session.py")
    loaded = set(modules.split())
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith(("renderctl.repository", "renderctl.core.jobs"))}


@pytest.mark.parametrize(
    "words",
    [(), ("model",), ("shot.blend", "--help"), ("missing.blend",), ("--job", "1m8p")],
)
def test_nothing_is_started_for_what_names_no_scene(
    words: tuple[str, ...], scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene.parent)
    prewarm(words)
    assert context.prewarmed is None


def test_no_table_builds_what_would_check_its_rows() -> None:
    modules = (audit, counts, jobs, people, quotas, webhooks)
    rows = [row for row in Row.__subclasses__() if row.__module__ in {module.__name__ for module in modules}]
    assert len(rows) == len(Row.metadata.tables)  # a table that is no Row would be built at once
    assert [row.__name__ for row in rows if row.__pydantic_complete__] == []
