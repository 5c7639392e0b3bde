"""Finding Blenders, and picking one for a scene."""

from pathlib import Path

import pytest

from renderctl.blender.find import Blender, find_blenders, pick_blender
from renderctl.blender.header import SavedBy
from renderctl.core.errors import BlenderMissing, SceneTooNew


def given_program(folder: Path, answer: str) -> Path:
    """A program called blender that counts how often it is asked, and answers."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "blender"
    program.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\necho '{answer}'\n")
    program.chmod(0o755)
    return program


def blender(*version: int) -> Blender:
    major, minor, patch = version
    return Blender((major, minor, patch), Path(f"/opt/{major}.{minor}.{patch}/blender"), module=False)


ALL = (blender(4, 2, 3), blender(4, 5, 1), blender(4, 5, 9), blender(5, 0, 1))


def test_a_named_program_is_asked_once(tmp_path: Path) -> None:
    program = given_program(tmp_path / "b", "Blender 4.3.2")
    for path in (program, program.parent, program):
        found = find_blenders([str(path)], cache_dir=tmp_path / "cache")
        assert Blender((4, 3, 2), program, module=False) in found
    assert (program.parent / "asked").read_text().count("asked") == 1
    given_program(program.parent, "Blender 4.4.1 and it is another file")
    assert any(item.version == (4, 4, 1) for item in find_blenders([str(program)], cache_dir=tmp_path / "cache"))


def test_a_python_with_the_module_is_found_by_its_metadata(tmp_path: Path) -> None:
    installed = tmp_path / "env/lib/python3.11/site-packages/bpy-4.5.15.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: bpy\nVersion: 4.5.15\n")
    python = tmp_path / "env/bin/python"
    python.parent.mkdir()
    python.touch()
    found = find_blenders([str(tmp_path / "env")], cache_dir=tmp_path / "cache")
    (module,) = [item for item in found if item.program == python]
    assert module.version == (4, 5, 15)
    assert module.argv()[0] == str(python)
    assert module.argv()[-1].endswith("session.py")
    assert "bpy module" in module.label


def test_where_there_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(BlenderMissing, match="There is no Blender at"):
        find_blenders([str(tmp_path / "nowhere")], cache_dir=tmp_path)
    (tmp_path / "blender").write_text("#!/bin/sh\necho I am no Blender\n")
    (tmp_path / "blender").chmod(0o755)
    with pytest.raises(BlenderMissing, match="There is no Blender at"):
        find_blenders([str(tmp_path)], cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("saved_by", "picked"),
    [
        (SavedBy((4, 5), 0), (4, 5, 9)),
        (SavedBy((4, 3), 0), (4, 5, 9)),
        (SavedBy((2, 79), 0), (4, 2, 3)),
        (SavedBy((5, 0), 1), (5, 0, 1)),
    ],
)
def test_the_nearest_blender_that_loses_nothing_is_picked(saved_by: SavedBy, picked: tuple[int, ...]) -> None:
    chosen, warning = pick_blender(ALL, saved_by)
    assert chosen.version == picked
    assert warning is None


def test_an_older_blender_is_picked_with_a_warning() -> None:
    chosen, warning = pick_blender(ALL, SavedBy((5, 2), 1))
    assert chosen.version == (5, 0, 1)
    assert warning == "The scene was saved by Blender 5.2; Blender 5.0.1 may lose parts of it."


def test_a_scene_that_none_can_open_is_too_new() -> None:
    with pytest.raises(SceneTooNew, match=r"saved by Blender 5\.0, and Blender 4\.2\.3"):
        pick_blender(ALL[:1], SavedBy((5, 0), 1))
    with pytest.raises(SceneTooNew):
        pick_blender(ALL, SavedBy((7, 0), 2))


def test_a_program_that_is_asked_hears_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERCTL_STORE__SECRET_KEY", "hush")
    program = given_program(tmp_path, "Blender 4.5.0")
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\necho 'Blender 4.5.0'\n")
    find_blenders([str(program)], cache_dir=tmp_path)
    assert "hush" not in (tmp_path / "environment").read_text()
