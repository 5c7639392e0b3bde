"""A scene that renders quickly, a farm in a folder, and disks that are too small."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.settings import Settings
from tests.farms import close, make_farm
from tests.nodes import Site, site_in
from tests.server.live import through_a_server
from tests.sides import service_variables


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    path = tmp_path_factory.mktemp("scene") / "quick.blend"
    maker = Path(__file__).parents[1] / "quick_scene.py"
    subprocess.run([sys.executable, str(maker), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def server(request: pytest.FixtureRequest) -> bool:
    """Whether the desk has a token of a server and nothing else; the nodes have the parts of the farm."""
    return getattr(request, "param", None) is not None


@pytest.fixture
def site(tmp_path: Path, settings: Settings, server: bool) -> Iterator[Site]:
    """A farm on either side, used directly or through a server."""
    with site_in(tmp_path, service_variables(settings)) as site:
        if not server:
            yield site
            return
        farm = make_farm(site.data, settings=site.settings)
        with through_a_server(farm) as told:
            site.desk.update(told)
            yield site
        close(farm)
