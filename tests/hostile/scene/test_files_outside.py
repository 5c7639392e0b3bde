"""A scene that names somebody's key by `//../mine/id_rsa` does not take it along without a word."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from renderctl.blender.header import read_header
from renderctl.core.errors import BadSettings, OutsideFiles
from renderctl.core.settings import ExecutorSettings, Settings, StoreSettings, UploadSettings, load_settings
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.farm.models.outside_files import Outside, include_outside, leaves_this_machine
from renderctl.farm.models.replacements import replacing_files
from renderctl.farm.models.upload import UploadOptions, UploadRequest, model_of, upload
from tests.farms import ACTOR, FACTS, close, make_farm, quick_settings
from tests.server.test_inspecting import Container

HEADER = b"BLENDER17-01v0500"


def facts(*files: tuple[str, Path]) -> dict[str, Any]:
    document = FACTS.as_document()
    del document["relocations"], document["dependencies"]
    named = [
        {"path": raw, "absolute": str(path), "kind": "image", "owner": f"Image: {raw}", "exists": path.exists()}
        for raw, path in files
    ]
    return document | {"files": named}


class Disk:
    """Somebody's disk: a downloaded scene in `downloads/scenes`, and `mine` beside it."""

    def __init__(self, root: Path, farm: Farm) -> None:
        self.farm = farm
        self.scene, self.key = root / "downloads/scenes/shot.blend", root / "mine/id_rsa"
        self.wood = root / "downloads/textures/wood.png"
        for path, content in ((self.scene, HEADER), (self.key, b"-----BEGIN"), (self.wood, b"\x89PNG")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        read_header(self.scene)

    def names(self, *files: tuple[str, Path]) -> None:
        assert isinstance(self.farm.executor, Container)
        self.farm.executor.looks = lambda _scene, _folder: facts(("//shot.blend", self.scene), *files)

    def upload(self, **more: Any) -> list[str]:
        """The paths of what was taken along."""
        model = upload(self.farm, ACTOR, UploadRequest(self.scene, **more)).model
        return sorted(dependency.stored or "" for dependency in model.facts.dependencies)

    def stored(self) -> int:
        return sum(1 for _ in self.farm.store.blobs())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    farm = make_farm(tmp_path / "data", settings=quick_settings(tmp_path / "data"), executor=Container())
    yield Disk(tmp_path, farm)
    close(farm)


def with_roots(farm: Farm, *roots: Path | str) -> None:
    settings = Settings(farm.settings.data_dir, upload=UploadSettings(tuple(map(str, roots))))
    object.__setattr__(farm, "settings", settings)


def test_what_lies_outside_the_folder_is_named_and_not_sent(disk: Disk) -> None:
    disk.names(("//../../mine/id_rsa", disk.key))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert str(disk.key) in refused.value.message
    assert "10 bytes" in refused.value.message
    assert "--include-outside" in (refused.value.hint or "")
    assert refused.value.details == {
        "files": [{"path": str(disk.key), "size": 10, "owner": "Image: //../../mine/id_rsa"}]
    }
    assert disk.stored() == 0


def test_neither_is_it_when_the_scene_is_submitted(disk: Disk) -> None:
    disk.names(("//../../mine/id_rsa", disk.key))
    with pytest.raises(OutsideFiles):
        model_of(disk.farm, ACTOR, str(disk.scene), UploadOptions())
    assert disk.stored() == 0


def test_an_absolute_path_is_no_other(disk: Disk) -> None:
    disk.names((str(disk.key), disk.key))
    with pytest.raises(OutsideFiles):
        disk.upload()


def test_a_link_below_the_folder_that_leads_out_of_it_is_outside(disk: Disk) -> None:
    link = disk.scene.parent / "wood.png"
    link.symlink_to(disk.key)
    disk.names(("//wood.png", link))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert str(disk.key) in refused.value.message


def test_a_linked_folder_below_the_folder_is_outside_too(disk: Disk) -> None:
    (disk.scene.parent / "textures").symlink_to(disk.key.parent)
    disk.names(("//textures/id_rsa", disk.scene.parent / "textures" / "id_rsa"))
    with pytest.raises(OutsideFiles):
        disk.upload()


@pytest.mark.parametrize("place", [".ssh/id_rsa", ".env", "tex/.git/config"])
def test_what_is_hidden_below_the_folder_is_outside(disk: Disk, place: str) -> None:
    hidden = disk.scene.parent / place
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_bytes(b"secret")
    disk.names((f"//{place}", hidden))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert str(hidden) in refused.value.message
    with_roots(disk.farm, disk.scene.parents[2])
    with pytest.raises(OutsideFiles):
        disk.upload()


@pytest.mark.parametrize("above", [0, 1])
def test_a_home_is_nobodys_folder_of_a_scene(disk: Disk, monkeypatch: pytest.MonkeyPatch, above: int) -> None:
    """A scene that was saved to a home does not take along what lies there."""
    monkeypatch.setenv("HOME", str((disk.scene.parent, disk.scene.parent / "ada")[above]))
    diary = disk.scene.parent / "documents/diary.png"
    diary.parent.mkdir()
    diary.touch()
    disk.names(("//documents/diary.png", diary))
    with pytest.raises(OutsideFiles):
        disk.upload()


def test_what_lies_below_the_folder_goes_along_by_itself_also_through_a_link_of_that_folder(disk: Disk) -> None:
    (disk.scene.parent / "wood.png").write_bytes(b"\x89PNG")
    there = disk.scene.parent.parent / "link"
    there.symlink_to(disk.scene.parent)
    disk.scene = there / "shot.blend"
    disk.names(("//wood.png", there / "wood.png"))
    assert disk.upload() == ["shot.blend", "wood.png"]


def test_whoever_was_shown_the_list_may_take_them_along(disk: Disk) -> None:
    shown: list[Outside] = []
    disk.names(("//../textures/wood.png", disk.wood))
    assert disk.upload(on_outside=shown.append) == ["scenes/shot.blend", "textures/wood.png"]
    assert [file.path for file in shown[0].files] == [disk.wood]


def test_folders_of_the_config_go_along_by_themselves(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(disk.scene.parents[2]))
    with_roots(disk.farm, "~/downloads")
    disk.names(("//../textures/wood.png", disk.wood))
    assert disk.upload() == ["scenes/shot.blend", "textures/wood.png"]
    disk.names(("//../textures/wood.png", disk.wood), ("//../../mine/id_rsa", disk.key))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert "wood" not in refused.value.message


def test_the_hint_names_the_folder_that_holds_a_project_and_never_a_home(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.names(("//../textures/wood.png", disk.wood))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert f"roots: [{disk.wood.parents[1]}]" in (refused.value.hint or "")
    monkeypatch.setenv("HOME", str(disk.wood.parents[1]))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert "roots: [~/projects]" in (refused.value.hint or "")


def test_nothing_hides_in_the_name_of_a_file(disk: Disk) -> None:
    odd = disk.key.with_name("wood\n  \x1b[2J\u202egnp.png")
    odd.write_bytes(b"1")
    disk.names(("//odd", odd))
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert r"wood\n  \x1b[2J\u202egnp.png" in refused.value.message
    assert len(refused.value.message.splitlines()) == 2


def test_a_thousand_files_are_counted_and_the_first_of_them_named(disk: Disk) -> None:
    many: Sequence[tuple[str, Path]] = [(f"//{n}", disk.key.with_name(f"{n:04d}")) for n in range(1000)]
    for _, path in many:
        path.touch()
    disk.names(*many)
    with pytest.raises(OutsideFiles) as refused:
        disk.upload()
    assert "1000 files" in refused.value.message
    assert "… and 980 more" in refused.value.message
    assert len(refused.value.files) == 1000


def test_a_model_that_replaces_an_object_follows_no_link_out_of_its_folder(disk: Disk) -> None:
    model = disk.scene.with_name("hero.obj")
    model.write_text("mtllib hero.mtl\n")
    model.with_name("hero.mtl").symlink_to(disk.key)
    with pytest.raises(OutsideFiles):
        replacing_files(disk.farm, {"Cube": model}, SubmitRequest().on_outside)
    sources, _ = replacing_files(disk.farm, {"Cube": model}, include_outside)
    assert len(sources) == 2


@pytest.mark.parametrize(
    ("settings", "environment", "leaves"),
    [
        ({}, {}, False),
        ({"store": StoreSettings("minio")}, {}, True),
        ({"executor": ExecutorSettings("docker")}, {}, False),
        ({"executor": ExecutorSettings("docker")}, {"DOCKER_HOST": "unix:///run/docker.sock"}, False),
        ({"executor": ExecutorSettings("docker")}, {"DOCKER_HOST": "tcp://far:2376"}, True),
        ({"executor": ExecutorSettings("docker", "ssh://far")}, {}, True),
    ],
)
def test_render_asks_where_files_leave_this_machine(
    settings: dict[str, Any], environment: dict[str, str], leaves: bool
) -> None:
    assert leaves_this_machine(Settings(Path("/data"), **settings), environment) is leaves


@pytest.mark.parametrize("root", ["projects", "./projects", "../projects"])
def test_a_folder_of_the_config_does_not_depend_on_where_one_is(tmp_path: Path, root: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"upload: {{roots: [{root}]}}")
    with pytest.raises(BadSettings, match=r"upload\.roots"):
        load_settings(config, {}, default_data_dir=tmp_path)
