"""The pages of models: what is known of them, and what the viewer may do with one."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.core.jobs import RenderOptions
from renderctl.core.models import Dependency
from tests.farms import FACTS, SCENE, given_job, given_model
from tests.server.conftest import Served
from tests.server.pages import log_in

HOSTILE = '<script>alert(1)</script>" onload="x'
MISSING = Dependency("//tex/<b>wood.png", "x", "image", "Image: wood")


def acting(text: str) -> list[str]:
    """The attributes of a page that would run a script."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(name for name, _ in attrs if name.startswith("on"))

    Reader().feed(text)
    return found


def test_models_are_found_by_name_and_project(client: TestClient, served: Served) -> None:
    given_model(served.farm, "dragon")
    given_model(served.farm, "100% knight")
    log_in(client, "ada")
    assert "dragon" in client.get("/models?q=DRAG").text
    assert "dragon" not in client.get("/models?q=100%25").text
    assert "dragon" not in client.get("/models?project=games").text
    assert "No models match" in client.get("/models?q=nothing").text


@pytest.mark.slow
def test_models_come_in_pages_with_older_ones_behind(client: TestClient, served: Served) -> None:
    for number in range(51):
        given_model(served.farm, f"shot{number:02d}")
    log_in(client, "ada")
    found = re.search(r'rel="next" href="([^"]+)"', client.get("/models").text)
    assert found
    older = client.get(found[1].replace("&amp;", "&")).text
    assert "shot00<" in older
    assert "shot01<" not in older


def test_a_model_tells_what_is_known_of_it(client: TestClient, served: Served) -> None:
    scene = replace(SCENE, frame_end=240, frame_step=2, resolution=(1920, 1080), view_layers=("Fog", "Hero"))
    given_model(served.farm, "dragon")
    facts = replace(FACTS, scenes=(scene,), dependencies=(MISSING,), scripts=("text rig.py",))
    model = given_model(served.farm, "knight", facts)
    job = given_job(served.farm, "1", model=model, name="first try", options=RenderOptions(allow_missing=True))
    log_in(client, "vic")
    text = client.get("/models/knight@1").text
    for said in ("1–240 in steps of 2", "1920 × 1080", "Cycles", "Side", "Fog, Hero", "text rig.py", "first try"):
        assert said in text, said
    assert f'href="/jobs/{job.id}"' in text
    assert "1 file is missing" in text
    assert "//tex/&lt;b&gt;wood.png" in text
    assert "Pack Resources" in text
    assert "knight.blend" in text
    assert client.get(f"/models/{model.id}").status_code == 200
    assert client.get("/models/unknown").status_code == 404


def test_a_model_offers_what_the_viewer_may_do_and_nothing_else(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    offered = {}
    for who in ("vic", "art", "ada"):
        log_in(client, who)
        text = client.get("/models/dragon@1").text
        offered[who] = (f'data-action="DELETE /api/v1/models/{model.id}"' in text, f"/submit?model={model.id}" in text)
        client.cookies.clear()
    assert offered == {"vic": (False, False), "art": (False, True), "ada": (True, True)}


def test_who_may_not_see_a_model_finds_no_page_of_it(client: TestClient, served: Served) -> None:
    given_model(served.farm, "dragon")
    eve = served.person("eve", Role.ARTIST, "games")
    for place in ("/models/dragon@1", "/submit?model=dragon"):
        assert client.get(place, headers=eve).status_code == 404
    assert "dragon@" not in client.get("/models", headers=eve).text


def test_a_name_of_a_model_is_text_wherever_it_stands(client: TestClient, served: Served) -> None:
    scene = replace(SCENE, name=HOSTILE, cameras=(HOSTILE, "Camera"), view_layers=(HOSTILE, "ViewLayer"))
    facts = replace(FACTS, active_scene=HOSTILE, scenes=(scene, SCENE), dependencies=(MISSING,), scripts=(HOSTILE,))
    model = given_model(served.farm, HOSTILE, facts)
    log_in(client, "ada")
    for place in ("/models", f"/models/{model.id}", "/submit", f"/submit?model={model.id}"):
        text = client.get(place).text
        assert "&lt;script&gt;" in text, place
        assert "<script>alert" not in text, place
        assert not acting(text), place
    assert f'href="/models/{model.id}"' in client.get("/models").text


@pytest.mark.slow
def test_every_address_that_the_pages_of_models_link_to_is_there(client: TestClient, served: Served) -> None:
    given_job(served.farm, "1-2", model=given_model(served.farm, "dragon"))
    given_model(served.farm, "dragon/v2 ?#")
    log_in(client, "ada")
    for page in ("/models", "/models/dragon@1", "/submit", "/submit?model=dragon"):
        found = re.findall(r'(?:href|src)="(/[^"#]*)', client.get(page).text)
        assert len(found) > 5
        for place in set(found):
            assert client.get(place.replace("&amp;", "&")).status_code == 200, place
