"""By which camera a frame is seen."""

import numpy as np
import pytest

from renderctl.blender.failures import SessionFailed
from tests.blender.studio import EVIL, Studio, pixels

pytestmark = pytest.mark.blender

WHITE = {"settings": {"render.film_transparent": "true"}}


def covered(studio: Studio, camera: str | None = None, frame: int = 1) -> float:
    """The share of the picture that something is seen in."""
    return float((pixels(studio.render(frame, camera).files[0].path)[:, :, 3] > 0.5).mean())


def test_each_task_is_seen_by_its_camera(studio: Studio) -> None:
    studio.open(studio.scene("cameras"), {"cameras": ("Close", EVIL)}, scene=EVIL[:60], **WHITE)
    close, far, close_again = (covered(studio, name) for name in ("Close", EVIL, "Close"))
    assert close > 10 * far > 0
    assert close == close_again


def test_markers_on_the_timeline_change_the_camera_unless_one_is_named(studio: Studio) -> None:
    studio.open(studio.scene("cameras"), {"cameras": ("Close",)}, scene=EVIL[:60], **WHITE)
    first, named, last = covered(studio), covered(studio, "Close", 5), covered(studio, frame=5)
    assert first == named > 10 * last > 0


def test_a_scene_with_cameras_but_no_active_one_is_seen_by_the_first(studio: Studio) -> None:
    opened = studio.open(studio.scene("inactive"))
    assert "The scene has no active camera; the first one, 'Camera A', is used." in opened.notes
    assert studio.render(1).files


def test_an_unknown_camera_is_told_when_the_scene_is_opened(studio: Studio) -> None:
    with pytest.raises(SessionFailed, match=r"There is no camera 'Closed'\. Did you mean 'Close'"):
        studio.open(studio.scene("cameras"), {"cameras": ("Closed",)}, scene=EVIL[:60])
    with pytest.raises(SessionFailed, match="'Cube' is not a camera"):
        studio.open(studio.scene("cameras"), {"cameras": ("Cube",)}, scene=EVIL[:60])


def test_an_unknown_camera_of_one_task_fails_that_task(studio: Studio) -> None:
    studio.open(studio.scene("cameras"), scene=EVIL[:60], **WHITE)
    with pytest.raises(SessionFailed, match="There is no camera 'Nobody'"):
        studio.render(1, "Nobody")
    assert covered(studio) > 0


def test_a_scene_without_a_camera_gets_one_that_frames_everything(studio: Studio) -> None:
    opened = studio.open(studio.scene("bare"), **WHITE, resolution=(320, 180))
    assert "The scene has no camera; one that frames everything is used." in opened.notes
    seen = pixels(studio.render(1).files[0].path)[:, :, 3] > 0.5
    columns = np.flatnonzero(seen.any(axis=0))
    # The ground fills the rest; both boxes stand out against it in the test below.
    assert columns[0] == 0


def test_the_default_camera_sees_all_of_a_small_scene(studio: Studio) -> None:
    studio.open(studio.scene("simulated"), **WHITE, resolution=(320, 180))
    assert 0 < covered(studio) < 1


def test_two_sessions_put_the_default_camera_in_the_same_place(studio: Studio) -> None:
    shots = []
    for _ in range(2):
        studio.open(studio.scene("bare"), **WHITE)
        shots.append(pixels(studio.render(3).files[0].path))
    assert np.array_equal(*shots)
