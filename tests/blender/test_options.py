"""What can be asked of a render, and how a wrong wish is answered."""

from typing import Any

import numpy as np
import pytest

from renderctl.blender.failures import SessionFailed
from renderctl.core.jobs import FORMATS, Fault
from renderctl.decoder.pixels import verify
from tests.blender.studio import EVIL, Studio, pixel_type, pixels
from tests.lacking import lacking

pytestmark = pytest.mark.blender


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_whole(studio: Studio, name: str) -> None:
    opened = studio.open(studio.scene("cube"), format=name)
    file = studio.render(1).files[0]
    assert opened.extension == FORMATS[name]
    assert file.name == f"0001.{FORMATS[name]}"
    verify(file.path, width=64, height=36)


@pytest.mark.parametrize(("engine", "identifier"), [("workbench", "BLENDER_WORKBENCH"), ("eevee", "BLENDER_EEVEE")])
def test_every_engine_renders_without_a_display(studio: Studio, engine: str, identifier: str) -> None:
    try:
        opened = studio.open(studio.scene("cube"), engine=engine, samples=1)
    except SessionFailed as failed:
        lacking(str(failed))  # names the package
    assert opened.engine.startswith(identifier)
    verify(studio.render(1).files[0].path, width=64, height=36)


def test_a_quality_sets_the_longer_side_and_the_samples(studio: Studio) -> None:
    opened = studio.open(studio.scene("cube"), quality="1k")
    assert (opened.width, opened.height) == (1024, 576)


def test_resolution_and_percentage_win_over_a_quality(studio: Studio) -> None:
    opened = studio.open(studio.scene("cube"), quality="4k", resolution=(100, 50), percentage=50, samples=1)
    assert (opened.width, opened.height) == (50, 25)
    verify(studio.render(1).files[0].path, width=50, height=25)


def test_a_border_that_is_cropped_to_sets_the_size(studio: Studio) -> None:
    border = {"render.use_border": "true", "render.use_crop_to_border": "true", "render.border_max_x": "0.33"}
    opened = studio.open(studio.scene("cube"), settings=border)
    verify(studio.render(1).files[0].path, width=opened.width, height=opened.height)
    assert opened.width == 21


def test_denoising_changes_the_picture(studio: Studio) -> None:
    shots: list[Any] = []
    notes: tuple[str, ...] = ()
    for denoise in (False, True):
        notes = studio.open(studio.scene("compositor"), denoise=denoise).notes
        shots.append(pixels(studio.render(1).files[0].path))
    built_without = "This Blender was built without a denoiser; the frames are not denoised." in notes
    assert np.array_equal(*shots) == built_without


def test_a_scene_and_a_view_layer_are_chosen_by_name(studio: Studio) -> None:
    opened = studio.open(studio.scene("cameras"), scene=EVIL[:60], view_layer="Second layer")
    assert opened.engine == "CYCLES"
    verify(studio.render(1).files[0].path)


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        ({"scene": "Othr"}, "There is no scene 'Othr'. Did you mean 'Other'?"),
        ({"view_layer": "Secnd layer"}, "There is no view layer 'Secnd layer'. Did you mean 'Second layer'?"),
        ({"settings": {"cycles.max_bounce": "1"}}, "There is no property 'max_bounce' in"),
        ({"settings": {"cycles.max_bounce": "1"}}, "Did you mean max_bounces"),
        ({"settings": {"nonsense.x": "1"}}, "There is no property 'nonsense'"),
        ({"settings": {"cycles.max_bounces": "many"}}, "cycles.max_bounces must be a whole number, not 'many'"),
        ({"settings": {"cycles.max_bounces": "-4"}}, "cycles.max_bounces must be 0 to 1024, not -4"),
        ({"settings": {"render.film_transparent": "maybe"}}, "must be true or false, not 'maybe'"),
        ({"settings": {"cycles.pixel_filter_type": "SQUARE"}}, "has no choice 'SQUARE'. Available: BOX, GAUSSIAN"),
        ({"settings": {"render.engine": "POVRAY"}}, "render.engine cannot be 'POVRAY'"),
        ({"settings": {"render.image_settings": "x"}}, "is a group of properties"),
        ({"settings": {"world": "Mars"}}, "There is no World 'Mars'"),
        ({"settings": {"display.light_direction": "1,2"}}, "takes 3 values"),
        ({"settings": {'"); import os': "1"}}, "is not a property path"),
    ],
)
def test_a_wrong_wish_is_the_scenes_fault(studio: Studio, wish: dict[str, object], answer: str) -> None:
    with pytest.raises(SessionFailed) as failed:
        studio.open(studio.scene("cameras"), **{"scene": EVIL[:60], **wish})
    assert answer in failed.value.failure.reason
    assert failed.value.failure.fault is Fault.SCENE
    assert failed.value.failure.whole_job
    assert studio.session.alive


@pytest.mark.parametrize(
    "settings",
    [
        {"cycles.max_bounces": "3", "scene.cycles.samples": "2"},
        {"render.film_transparent": "on", "view_settings.exposure": "-1.5"},
        {"cycles.pixel_filter_type": "gaussian", "display.light_direction": "0, 0, 1"},
        {'view_layers["Second layer"].use_pass_z': "yes", "view_layers[0].use": "true"},
        {"view_settings.view_transform": "Standard"},
    ],
)
def test_a_property_of_any_kind_can_be_set(studio: Studio, settings: dict[str, str]) -> None:
    studio.open(studio.scene("cameras"), scene=EVIL[:60], settings=settings)
    verify(studio.render(1).files[0].path)


def test_a_format_can_be_set_and_refined_as_a_property(studio: Studio) -> None:
    assert studio.open(studio.scene("cube"), settings={"render.image_settings.file_format": "TIFF"}).extension == "tif"
    studio.open(studio.scene("cube"), format="OPEN_EXR", settings={"render.image_settings.color_depth": "32"})
    assert pixel_type(studio.render(1).files[0].path) == "float"


def test_a_gpu_that_is_not_there_is_the_machines_fault(studio: Studio) -> None:
    with pytest.raises(SessionFailed) as failed:
        studio.open(studio.scene("cube"), device="metal")
    assert failed.value.failure.fault is Fault.MACHINE
    assert failed.value.failure.reason.startswith("There is no METAL device here")


def test_the_device_of_a_render_is_the_real_one(studio: Studio) -> None:
    assert studio.open(studio.scene("cube"), device="cpu").device == "CPU"
