"""Scenes that mean harm, and the Blenders that make and render them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.blender.find import Blender
from renderctl.core.models import Model
from renderctl.core.settings import BlenderSettings, Settings, WorkerSettings
from renderctl.executors.process import ProcessExecutor
from renderctl.farm import Farm
from renderctl.farm.models.upload import UploadRequest, upload
from tests.blender.conftest import blender, pytest_generate_tests
from tests.blender.studio import Studio, build_scenes
from tests.farms import ACTOR, close, make_farm

__all__ = ["blender", "pytest_generate_tests"]


@pytest.fixture(scope="session")
def scenes(blender: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the hostile scenes."""
    return build_scenes(blender, tmp_path_factory.mktemp("hostile"), Path(__file__).with_name("scenes.py"))


@pytest.fixture(scope="session")
def studio(blender: Blender, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One warm session whose sandbox is open where the scenes lie: what they may not write, Blender does not try."""
    studio = Studio(blender, scenes, tmp_path_factory.mktemp("studio"), (str(scenes),))
    yield studio
    studio.close()


@pytest.fixture
def rendering_farm(blender: Blender, tmp_path: Path) -> Iterator[Farm]:
    """A farm whose worker starts that Blender as a process."""
    settings = Settings(
        tmp_path / "farm",
        worker=WorkerSettings(heartbeat=0.1, heartbeat_limit=1.0, min_free_mb=0),
        blender=BlenderSettings(paths=(str(blender.program),)),
    )
    farm = make_farm(settings.data_dir, settings=settings, executor=ProcessExecutor(tmp_path / "drivers"))
    yield farm
    close(farm)


@pytest.fixture
def uploaded(rendering_farm: Farm, scenes: Path) -> Callable[[str], Model]:
    """The model of a hostile scene."""

    def upload_scene(name: str) -> Model:
        request = UploadRequest(scenes / name / "scene.blend", name=name)
        return upload(rendering_farm, ACTOR, replace(request, allow_missing=True)).model

    return upload_scene
