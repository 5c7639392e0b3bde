"""What a session knows of a scene without rendering it."""

from pathlib import Path

import pytest

from renderctl.blender.failures import SessionFailed
from renderctl.core.jobs import Fault
from tests.blender.studio import EVIL, Studio

pytestmark = pytest.mark.blender


def test_a_scene_is_described(studio: Studio) -> None:
    facts = studio.inspect(studio.scene("cube"))
    (scene,) = facts["scenes"]
    assert facts["active_scene"] == "Scene"
    assert scene["camera"] == "Camera"
    assert (scene["frame_start"], scene["frame_end"]) == (1, 5)
    assert scene["resolution"] == [64, 36]
    assert (scene["engine"], scene["samples"], scene["format"]) == ("CYCLES", 1, "PNG")
    assert (scene["objects"], scene["faces"], facts["materials"]) == (3, 6, 1)
    assert scene["unbaked"] == []
    assert facts["opened_by"].startswith(facts["saved_by"] + ".")


def test_names_to_be_afraid_of_are_only_names(studio: Studio) -> None:
    facts = studio.inspect(studio.scene("cameras"))
    assert [scene["name"] for scene in facts["scenes"]] == sorted([EVIL[:60], "Other"])
    assert facts["scenes"][0]["cameras"] == sorted(["Close", EVIL])


def test_every_file_beside_a_scene_is_found(studio: Studio) -> None:
    folder = studio.scene("files").parent
    found = studio.inspect(studio.scene("files"))["files"]
    by_kind: dict[str, set[str]] = {}
    for file in found:
        by_kind.setdefault(file["kind"], set()).add(str(Path(file["absolute"]).relative_to(folder)))
    assert by_kind == {
        "udim": {"tex/udim.1001.png", "tex/udim.1002.png", "tex/udim.1011.png"},
        "sequence": {f"seq/f_{frame:04d}.png" for frame in range(1, 5)},
        "image": {"tex/win dows.png"},
        "light": {"lamp.ies"},
        "volume": {"fog.0001.vdb", "fog.0002.vdb"},
        "cache": {"points.pc2", "blendcache_scene/43756265_000001_00.bphys"},
    }
    assert all(file["exists"] for file in found)


def test_libraries_and_what_they_use_are_found(studio: Studio) -> None:
    folder = studio.scenes / "linked"
    found = studio.inspect(folder / "shot/scene.blend")["files"]
    assert {(file["kind"], str(Path(file["absolute"]).relative_to(folder))) for file in found} == {
        ("library", "outside/libs/outer.blend"),
        ("library", "outside/libs/sub/inner.blend"),
        ("library", "outside/libs/third.blend"),
        ("image", "outside/libs/tex/third.png"),
        ("image", "outside/libs/tex/outer.png"),
        ("image", "outside/libs/sub/tex/inner.png"),
        ("image", "outside/own/own.png"),
    }


def test_scripts_are_listed_and_do_not_run(studio: Studio) -> None:
    facts = studio.inspect(studio.scene("scripted"))
    assert [script.split(":")[0] for script in facts["scripts"]] == ["text evil.py", "driver of Cube"]
    assert not list(studio.folder.glob("*here"))


def test_a_simulation_without_a_bake_is_found(studio: Studio) -> None:
    (scene,) = studio.inspect(studio.scene("simulated"))["scenes"]
    assert scene["unbaked"] == ["cloth of Flag"]


def test_a_truncated_scene_is_the_scenes_fault(studio: Studio) -> None:
    whole = studio.scene("cube").read_bytes()
    broken = studio.new_folder("broken") / "scene.blend"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SessionFailed) as failed:
        studio.inspect(broken)
    assert failed.value.failure.fault is Fault.SCENE
    assert "cannot open scene.blend" in failed.value.failure.reason
    assert studio.session.alive
