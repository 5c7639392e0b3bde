"""`renderctl images`, on a real engine."""

import ssl
from pathlib import Path

import pytest

from renderctl.executors.images import RenderImage
from tests.cli.conftest import Ctl
from tests.services.baseimage import BASE

EITHER_WAY = True
LOCAL = ("--network", "host", "--base", BASE, "--unpinned")


@pytest.fixture
def on_engine(ctl: Ctl, docker_host: str, monkeypatch: pytest.MonkeyPatch) -> Ctl:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    return ctl


def test_images_are_listed_for_people_and_for_programs(on_engine: Ctl, render_image: RenderImage) -> None:
    said = on_engine("images")
    assert (said.code, said.err) == (0, "")
    (line,) = [line for line in said.out.splitlines() if f" {render_image.reference} " in line]
    assert line.startswith(render_image.blender)
    assert render_image.digest[7:19] in line
    assert line.endswith("all engines")
    listed = on_engine("images", "list", "--json").document
    assert render_image.digest in [each["digest"] for each in listed if each["blender"] == render_image.blender]


def test_a_build_that_changes_nothing_is_done_at_once_and_names_the_image(
    on_engine: Ctl, render_image: RenderImage
) -> None:
    authorities = ssl.get_default_verify_paths().cafile
    trusting = ("--ca", authorities) if authorities else ()
    said = on_engine("images", "build", "--blender", render_image.blender, *LOCAL, *trusting)
    assert said.code == 0
    assert said.out.startswith(
        f"Built {render_image.reference} ({render_image.digest[7:19]}): Blender {render_image.blender}"
    )
    assert "Building: " in said.err


def test_a_build_that_can_not_be_says_so_before_it_begins(on_engine: Ctl) -> None:
    said = on_engine("images", "build", "--blender", "4.5.x")
    assert (said.code, "any release from 4.2" in said.err) == (9, True)
    said = on_engine("images", "build", "--ca", "nowhere.pem")
    assert (said.code, "nowhere.pem" in said.err) == (9, True)


def test_an_image_that_nobody_has_is_no_such_thing_and_a_registry_that_is_away_is_out_of_reach(on_engine: Ctl) -> None:
    said = on_engine("images", "rm", "renderctl-blender:0")
    assert (said.code, said.err.splitlines()[0]) == (6, "Error: There is no image renderctl-blender:0.")
    said = on_engine("images", "pull", "127.0.0.1:1/blender:1", "--json")
    assert (said.code, said.document["error"]["code"]) == (8, "pull_failed")


def test_an_engine_that_is_away_is_out_of_reach(ctl: Ctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/socket")
    said = ctl("images", "--json")
    assert (said.code, said.document["error"]["code"]) == (8, "engine_unavailable")
