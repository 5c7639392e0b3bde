"""A scene of one's own is looked at where it lies: what a session in a sandbox is let see for it, and what not."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from renderctl.blender.find import Blender
from renderctl.core.errors import InvalidInput
from renderctl.core.settings import Settings
from renderctl.executors.process import ProcessExecutor, SandboxOptions
from renderctl.executors.sandbox import ForbiddenPaths, landlock_version
from renderctl.farm import Farm
from renderctl.farm.blenders import BlenderChoice
from renderctl.farm.models.inspect_local import beside, inspect_scene
from tests.farms import close, make_farm
from tests.lacking import lacking

pytestmark = pytest.mark.blender
MakeFarm = Callable[..., Farm]


@pytest.fixture
def farm_at(tmp_path: Path) -> Iterator[MakeFarm]:
    """A farm whose data lie in a folder, and which keeps its sessions from files."""
    if not landlock_version():
        lacking("needs a kernel with Landlock (Linux 5.13 or newer)")
    farms: list[Farm] = []

    def make(folder: Path, *secrets: Path) -> Farm:
        options = SandboxOptions(ForbiddenPaths(folder, folder / "scratch", secrets))
        executor = ProcessExecutor(tmp_path / "drivers", sandbox=options)
        farms.append(make_farm(folder, settings=Settings(folder), executor=executor))
        return farms[-1]

    yield make
    for farm in farms:
        close(farm)


def names(farm: Farm, scene: Path, blender: Blender) -> set[str]:
    facts = inspect_scene(farm, scene, BlenderChoice(blender, None))
    assert all(file.exists for file in facts.files)
    return {Path(file.absolute).name for file in facts.files}


def test_libraries_in_other_folders_are_opened_and_what_they_name(
    farm_at: MakeFarm, scenes: Path, tmp_path: Path, blender: Blender
) -> None:
    shutil.copytree(scenes / "linked", tmp_path / "linked")
    scene, expected = tmp_path / "linked/shot/scene.blend", {"outer.blend", "inner.blend", "third.blend", "own.png"}
    secret = tmp_path / "linked/outside/libs/secret"
    secret.touch()
    for farm in (farm_at(tmp_path / "data"), farm_at(tmp_path / "other", secret)):
        assert beside(farm, scene) == (scene.parent,)
        assert names(farm, scene, blender) == {*expected, "third.png", "outer.png", "inner.png"}


def test_beside_the_farms_own_files_a_session_sees_the_scene_alone(
    farm_at: MakeFarm, scenes: Path, tmp_path: Path, blender: Blender
) -> None:
    project = tmp_path / "project"
    shutil.copytree(scenes / "files", project)
    farm = farm_at(project / "data")
    assert beside(farm, project / "scene.blend") == (project / "scene.blend",)
    found = names(farm, project / "scene.blend", blender)
    assert {"udim.1001.png", "udim.1011.png", "f_0001.png", "f_0004.png", "lamp.ies", "fog.0002.vdb"} <= found


def test_what_a_scene_needs_of_the_farms_own_folder_is_told(
    farm_at: MakeFarm, scenes: Path, tmp_path: Path, blender: Blender
) -> None:
    project = tmp_path / "project"
    shutil.copytree(scenes / "files", project / "data/project")
    farm = farm_at(project / "data")
    with pytest.raises(InvalidInput, match="no session may read"):
        inspect_scene(farm, project / "data/project/scene.blend", BlenderChoice(blender, None))
