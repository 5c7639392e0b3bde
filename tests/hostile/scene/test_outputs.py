"""A scene writes where it is let write: whatever scene, group, view or fluid of it would rather write elsewhere."""

from pathlib import Path

import pytest

from tests.blender.studio import Studio

pytestmark = pytest.mark.blender


def files_of(studio: Studio, frame: int = 1) -> list[str]:
    """The names of what a frame leaves; nothing new lies beside its folder, but in the session's own scratch."""
    order = studio.order(frame)
    before = _files_below(studio)
    names = [file.name for file in studio.render_order(order).files]
    new = {path for path in _files_below(studio) - before if path != order.log}
    scratch = {path for path in new if path.relative_to(studio.folder).parts[0] in ("tmp", "home", "drivers")}
    assert sorted(names) == sorted(str(path.relative_to(order.folder)) for path in new - scratch)
    return names


def _files_below(studio: Studio) -> set[Path]:
    return {path for folder in (studio.folder, studio.scenes) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "other"), [("outputs", "Strip"), ("linked", "Linked")])
def test_what_the_scene_of_a_strip_writes_comes_with_the_frame(studio: Studio, name: str, other: str) -> None:
    studio.open(studio.scene(name), scene="Shown")
    assert files_of(studio) == ["0001.png", f"{other}_Image_0001.png"]
    assert not (studio.scene(name).parent / "elsewhere").exists()


def test_what_groups_write_comes_with_the_frame_and_the_scenes_own_keeps_its_name(studio: Studio) -> None:
    studio.open(studio.scene("outputs"), scene="Composed")
    assert files_of(studio) == ["0001.png", "Grouped_0001.png", "Image_0001.png"]
    assert not (studio.scene("outputs").parent / "elsewhere").exists()


def test_suffixes_of_views_lead_nowhere(studio: Studio) -> None:
    studio.open(studio.scene("views"))
    assert sorted(files_of(studio)) == ["0001_escaped_left.png", "0001_escaped_right.png"]


def test_a_fluid_writes_its_configuration_into_scratch(studio: Studio) -> None:
    elsewhere = studio.scenes / "fluid elsewhere"
    studio.open(studio.scene("fluid"))
    studio.render()
    assert not elsewhere.exists()
    baked = studio.scene("fluid").parent / "baked"
    assert [path.name for path in baked.rglob("*") if path.is_file()] == ["fluid_data_0001.uni"]
    links = {link for link in studio.folder.rglob("fluid_data_0001.uni") if link.is_symlink()}
    assert {link.resolve() for link in links} == {(baked / "data/fluid_data_0001.uni").resolve()}
    studio.close()


def test_a_fluid_that_is_only_looked_at_writes_nothing_either(studio: Studio) -> None:
    files = studio.inspect(studio.scene("fluid"))["files"]
    studio.close()
    assert [(file["kind"], Path(file["absolute"]).name) for file in files] == [("cache", "fluid_data_0001.uni")]
    assert not (studio.scenes / "fluid elsewhere").exists()
    assert not (studio.scene("fluid").parent / "baked/config").exists()


def test_a_fluid_of_a_library_writes_its_configuration_into_scratch(studio: Studio) -> None:
    studio.open(studio.scene("linked"), scene="Shown")
    studio.render()
    studio.close()
    assert not (studio.scenes / "linked elsewhere").exists()
