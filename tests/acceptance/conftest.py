"""A scene that renders quickly, a farm in a folder, and disks that are too small."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import Site, site_in


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    path = tmp_path_factory.mktemp("scene") / "quick.blend"
    maker = Path(__file__).parents[1] / "quick_scene.py"
    subprocess.run([sys.executable, str(maker), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        yield site
