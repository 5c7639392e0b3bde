"""Scenes whose files lie elsewhere, or nowhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from renderctl.blender.failures import SessionFailed
from renderctl.core.jobs import Fault
from tests.blender.studio import Studio, pixels

pytestmark = pytest.mark.blender


def test_a_scene_whose_absolute_files_moved_looks_the_same(studio: Studio) -> None:
    original = studio.scenes / "linked"
    raw = {"view_settings.view_transform": "Raw"}
    studio.open(original / "shot/scene.blend", settings=raw)
    in_place = pixels(studio.render(1).files[0].path)
    moved = studio.new_folder("moved")
    shutil.copytree(original, moved / "copy")
    hidden = original.rename(original.with_name("linked-gone"))
    try:
        relocations = {str(original / "outside"): str(moved / "copy/outside")}
        opened = studio.open(moved / "copy/shot/scene.blend", {"relocations": relocations}, settings=raw)
        assert not any("missing" in note for note in opened.notes)
        assert np.array_equal(in_place, pixels(studio.render(1).files[0].path))
    finally:
        hidden.rename(original)
    assert len({tuple(colour) for colour in (in_place[:, :, :3] > 0.3).reshape(-1, 3)}) >= 5, (
        "red, green, blue, yellow and none"
    )


def test_missing_files_fail_a_job_unless_they_are_allowed_to(studio: Studio) -> None:
    folder = studio.new_folder("lost")
    scene = Path(shutil.copy(studio.scene("cube"), folder / "scene.blend"))
    with pytest.raises(SessionFailed) as failed:
        studio.open(scene)
    assert failed.value.failure.fault is Fault.SCENE
    assert failed.value.failure.reason.startswith("1 file is missing: //wood.png (Image: wood.png).")
    opened = studio.open(scene, allow_missing=True)
    assert opened.notes == ("1 file is missing: //wood.png (Image: wood.png).",)
    assert studio.render(1).files


def test_files_that_no_scene_uses_are_not_missed(studio: Studio) -> None:
    assert studio.inspect(studio.scene("leftovers"))["files"] == []
    assert studio.open(studio.scene("leftovers")).notes == (
        "The scene has no light and no world; everything that does not emit light is black.",
    )
