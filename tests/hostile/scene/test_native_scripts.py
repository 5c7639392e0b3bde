"""Programs that Blender runs although its scripts are off: OSL shaders and cameras, style modules of Freestyle."""

import pytest

from renderctl.blender.failures import SessionFailed
from renderctl.core.jobs import Fault
from tests.blender.studio import Studio

pytestmark = pytest.mark.blender
SECRET = "PASSWORD"


def printed(studio: Studio) -> str:
    """All that Blender has printed, whatever log it went to."""
    return "".join(log.read_text(errors="replace") for log in studio.folder.rglob("*.log"))


def has_osl_cameras(studio: Studio) -> bool:
    return studio.blender.version >= (4, 5, 0)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("shader", "OSL shader of Material: Shady"),
        ("lens", "OSL camera Camera"),
        ("style", "Freestyle script of view layer ViewLayer"),
    ],
)
def test_a_picture_that_needs_them_is_not_rendered_without_trust(studio: Studio, name: str, what: str) -> None:
    if name == "lens" and not has_osl_cameras(studio):
        pytest.skip("this Blender has no OSL cameras")
    assert what in studio.inspect(studio.scene(name))["scripts"]
    with pytest.raises(SessionFailed) as error:
        studio.open(studio.scene(name))
    failure = error.value.failure
    assert failure.reason.startswith(f"The scene cannot be rendered without its scripts ({what})")
    assert "--trust-scripts" in failure.reason
    assert (failure.fault, failure.whole_job) == (Fault.SCENE, True)
    assert SECRET not in printed(studio)
    assert not (studio.scene(name).parent / "style was here").exists()


@pytest.mark.parametrize(("name", "what"), [("loose_shader", "OSL shader"), ("idle_style", "Freestyle script")])
def test_a_picture_that_does_not_need_them_is_rendered_with_a_note(studio: Studio, name: str, what: str) -> None:
    opened = studio.open(studio.scene(name))
    studio.render()
    assert any(note.startswith(f"Scripts were blocked ({what}") for note in opened.notes)
    assert SECRET not in printed(studio)
    assert not (studio.scene(name).parent / "style was here").exists()


def test_those_of_libraries_are_found_too(studio: Studio) -> None:
    scripts = studio.inspect(studio.scene("linked"))["scripts"]
    assert {"OSL shader of Material: Shady", "Freestyle script of view layer ViewLayer"} <= set(scripts)
    opened = studio.open(studio.scene("linked"), scene="Shown")
    studio.render()
    assert any("OSL shader of Material: Shady" in note for note in opened.notes)
    assert SECRET not in printed(studio)


def test_trusted_ones_run(studio: Studio) -> None:
    trace = studio.scene("style").parent / "style was here"
    opened = studio.open(studio.scene("style"), {"trust_scripts": True})
    studio.render()
    assert trace.exists()
    assert not any("blocked" in note for note in opened.notes)
    trace.unlink()


def test_trusted_shaders_run(studio: Studio) -> None:
    studio.open(studio.scene("shader"), {"trust_scripts": True})
    studio.render()
    assert SECRET in printed(studio), "the error of the compiler that reads it"
    studio.forget_logs()
