"""Objects that give way to imported models."""

from pathlib import Path

import numpy as np
import pytest

from renderctl.blender.failures import SessionFailed
from tests.blender.studio import Studio, pixels

pytestmark = pytest.mark.blender

CLEAR = {
    "settings": {"render.film_transparent": "true"},
    "resolution": (320, 180),
}


def centre(studio: Studio, frame: int) -> tuple[float, float]:
    """Where, in pixels, the middle of what is seen is."""
    rows, columns = np.nonzero(pixels(studio.render(frame).files[0].path)[:, :, 3] > 0.5)
    return float(rows.min() + rows.max()) / 2, float(columns.min() + columns.max()) / 2


@pytest.mark.parametrize("ending", ["obj", "glb", "fbx", "blend"])
def test_a_model_takes_the_place_of_an_object_and_moves_with_it(studio: Studio, ending: str) -> None:
    scene = studio.scene("replaceable")
    model = scene.with_name(f"model.{ending}")
    studio.open(scene, **CLEAR)
    before = [centre(studio, frame) for frame in (1, 5)]
    studio.open(scene, {"replacements": (("Old", model), ("Child", model))}, **CLEAR)
    after = [centre(studio, frame) for frame in (1, 5)]
    assert np.allclose(before, after, atol=3)


@pytest.mark.parametrize(
    ("name", "model", "answer"),
    [
        ("Olde", "model.obj", "There is no object 'Olde'. Did you mean 'Old'?"),
        ("Old", "empty.blend", "empty.blend has no mesh."),
        ("Old", "scene.txt", "scene.txt cannot be imported: use one of"),
    ],
)
def test_a_replacement_that_can_not_be_is_the_scenes_fault(studio: Studio, name: str, model: str, answer: str) -> None:
    scene = studio.scene("replaceable")
    with pytest.raises(SessionFailed) as failed:
        studio.open(scene, {"replacements": ((name, scene.with_name(model)),)})
    assert answer in failed.value.failure.reason


@pytest.mark.parametrize("ending", ["obj", "glb", "fbx", "blend"])
def test_a_damaged_model_is_the_scenes_fault(studio: Studio, ending: str) -> None:
    broken: Path = studio.new_folder("broken") / f"model.{ending}"
    broken.write_bytes(b"this is no model\n" * 9)
    with pytest.raises(SessionFailed) as failed:
        studio.open(studio.scene("replaceable"), {"replacements": (("Old", broken),)})
    assert f"model.{ending}" in failed.value.failure.reason
    assert studio.session.alive
