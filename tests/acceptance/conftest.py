"""A scene that renders quickly, a farm in a folder, and disks that are too small."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.settings import Settings
from tests.nodes import Site, site_in
from tests.sides import service_variables


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    path = tmp_path_factory.mktemp("scene") / "quick.blend"
    maker = Path(__file__).parents[1] / "quick_scene.py"
    subprocess.run([sys.executable, str(maker), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def site(tmp_path: Path, settings: Settings) -> Iterator[Site]:
    """A farm on either side."""
    with site_in(tmp_path, service_variables(settings)) as site:
        yield site
