"""Models: what is known of a scene, kept as a document."""

import json

import pytest

from renderctl.core.errors import UnknownName
from renderctl.core.models import Dependency, ModelFacts, SceneFacts


def scene(name: str) -> SceneFacts:
    return SceneFacts(
        name=name,
        camera="Camera",
        cameras=("Camera", "Close-up"),
        frame_start=1,
        frame_end=250,
        frame_step=1,
        frame_current=1,
        fps=24.0,
        resolution=(1920, 1080),
        percentage=100,
        engine="CYCLES",
        samples=128,
        format="PNG",
        view_layers=("ViewLayer",),
        objects=3,
        faces=6,
        unbaked=("Cloth on Flag",),
    )


@pytest.fixture
def facts() -> ModelFacts:
    return ModelFacts(
        saved_by="4.2.0",
        opened_by="5.0.1",
        active_scene="Shot",
        scenes=(scene("Shot"), scene("Set")),
        materials=2,
        objects=3,
        faces=6,
        scripts=("rig_ui.py",),
        dependencies=(
            Dependency("//wood.png", "/art/wood.png", "image", "Image: wood", "wood.png", "ab" * 32, 1234),
            Dependency("//gone.png", "/art/gone.png", "image", "Image: gone"),
        ),
        relocations={"/art": "_abs/art"},
    )


def test_facts_come_back_from_a_json_document_as_they_were(facts: ModelFacts) -> None:
    assert ModelFacts.from_document(json.loads(json.dumps(facts.as_document()))) == facts


def test_the_scene_is_the_active_one_unless_it_is_named(facts: ModelFacts) -> None:
    assert (facts.scene(None).name, facts.scene("Set").name) == ("Shot", "Set")


def test_an_unknown_scene_is_answered_with_what_there_is(facts: ModelFacts) -> None:
    with pytest.raises(UnknownName, match="'Sett'") as caught:
        facts.scene("Sett")
    assert caught.value.hint == "Did you mean 'Set'?"
    with pytest.raises(UnknownName, match="no scene ''"):
        facts.scene("")


def test_missing_are_the_files_that_were_not_stored(facts: ModelFacts) -> None:
    assert [item.path for item in facts.missing] == ["//gone.png"]
