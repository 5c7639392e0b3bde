"""The page on which jobs are submitted: what it offers, what it makes of a form, and what it refuses."""

import re
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.core.audit import AuditFilter
from renderctl.core.jobs import RenderOptions
from renderctl.core.models import Dependency, Model
from tests.farms import ACTOR, FACTS, SCENE, given_model, given_worker
from tests.server.conftest import Served
from tests.server.pages import csrf, log_in


def sent(client: TestClient, model: Model, **fields: str) -> Any:
    """The answer to the form of a model with these fields changed."""
    text = client.get(f"/submit?model={model.id}").text
    key = re.search(r'name="key" value="([^"]+)"', text)
    assert key
    said = {"csrf": csrf(client), "model": model.id, "scene": "Scene", "key": key[1], "which": "range"}
    return client.post("/submit", data=said | {"priority": "5", "attempts": "3"} | fields)


def submitted(served: Served, answer: Any) -> Any:
    assert answer.status_code == 303, answer.text
    return served.farm.repository.jobs.get(answer.headers["location"].removeprefix("/jobs/"))


def test_the_form_starts_from_what_the_scene_says(client: TestClient, served: Served) -> None:
    scene = replace(SCENE, frame_end=240, frame_step=2, samples=128, resolution=(1920, 1080), percentage=50)
    model = given_model(served.farm, "dragon", replace(FACTS, scenes=(scene,)))
    log_in(client, "art")
    text = client.get(f"/submit?model={model.id}").text
    for said in ("1–240 in steps of 2: 120 frames", "current frame, 3", 'value="1-240x2"', "The scene&#39;s: Cycles"):
        assert said in text, said
    for own in ("128", "1920", "1080", "50"):
        assert f'placeholder="{own}"' in text
    for camera in SCENE.cameras:
        assert f'name="camera:{camera}"' in text


def test_a_form_as_it_is_renders_the_range_of_the_scene_as_the_scene_says(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "art")
    job = submitted(served, sent(client, model))
    assert (job.frames, job.cameras, job.name, job.owner) == ("1-10", (None,), "dragon", "art")
    assert job.options == RenderOptions(scene="Scene")
    assert (job.priority, job.max_attempts, job.pool, job.project) == (5, 3, "default", "default")
    assert submitted(served, sent(client, model, which="current")).frames == "3"


def test_what_is_filled_in_is_what_is_rendered(client: TestClient, served: Served) -> None:
    scene = replace(SCENE, view_layers=("Fog", "Hero"))
    model = given_model(served.farm, "dragon", replace(FACTS, scenes=(scene,), scripts=("text rig.py",)))
    log_in(client, "art")
    image = {"engine": "eevee", "samples": "16", "width": "320", "percentage": "50", "format": "JPEG"}
    image |= {"quality": "1k", "denoise": "off", "view_layer": "Fog", "trust_scripts": "on"}
    job = submitted(
        served,
        sent(
            client,
            model,
            which="these",
            frames="1-3, 9",
            **{"camera:Side": "on"},
            **image,
            name="Hero shot",
            priority="8",
            attempts="1",
            paused="on",
        ),
    )
    assert (job.frames, job.cameras, job.name, job.priority, job.max_attempts) == (
        "1-3,9",
        ("Side",),
        "Hero shot",
        8,
        1,
    )
    assert job.state == "paused"
    assert job.options == RenderOptions(
        scene="Scene",
        view_layer="Fog",
        engine="eevee",
        samples=16,
        resolution=(320, 64),
        percentage=50,
        quality="1k",
        format="JPEG",
        denoise=False,
        trust_scripts=True,
    )


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("frames", "5,3-", "is not a frame or a range of frames"),
        ("frames", "", "No frames were given"),
        ("samples", "many", "is not a whole number"),
        ("samples", "0", "is not possible"),
        ("width", "1e3", "is not a whole number"),
        ("height", "2", "A resolution of 2 is not possible"),
        ("percentage", "99999", "is not possible"),
        ("engine", "magic", "There is no engine"),
        ("attempts", "9999", "is not possible"),
        ("camera:Nobody", "on", "There is no camera"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    client: TestClient, served: Served, field: str, value: str, told: str
) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "art")
    typed = {"which": "these", "frames": "1-7", "name": '"><b>Hero', "camera:Side": "on", "paused": "on"}
    answer = sent(client, model, **(typed | {field: value}))
    assert answer.status_code == 422
    assert told in answer.text
    assert 'role="alert"' in answer.text
    assert 'value="&#34;&gt;&lt;b&gt;Hero"' in answer.text
    for name in ("camera:Side", "paused"):
        assert re.search(rf'name="{name}" checked', answer.text), name
    assert not served.farm.repository.summaries.newest()


def test_a_mistake_is_told_beside_its_field(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "art")
    text = sent(client, model, which="these", frames="x", samples="many").text
    for field in ("frames", "samples"):
        assert f'id="{field}-error"' in text
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"|name="{field}"[^>]*{field}-error', text)


def test_a_form_that_is_sent_twice_makes_one_job(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "art")
    first, again = sent(client, model, key="one"), sent(client, model, key="one")
    assert first.headers["location"] == again.headers["location"]
    changed = sent(client, model, key="one", which="current")
    assert changed.status_code == 409
    assert "This form has created a job already" in changed.text
    assert 'name="key" value="one"' not in changed.text
    assert len(served.farm.repository.summaries.newest()) == 1


def test_a_form_without_what_its_page_knows_is_refused(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "art")
    for told in ("", "guessed"):
        assert sent(client, model, csrf=told).status_code == 403
    said = {"csrf": csrf(client), "model": model.id, "scene": "Scene"}
    assert client.post("/submit", data=said, headers={"Origin": "http://evil.test"}).status_code == 403
    client.cookies.clear()
    assert client.post("/submit", data=said).headers["location"].startswith("/login")
    assert not served.farm.repository.summaries.newest()


def test_files_that_are_missing_have_to_be_accepted(client: TestClient, served: Served) -> None:
    lost = Dependency("//wood.png", "x", "image", "Image: wood")
    model = given_model(served.farm, "dragon", replace(FACTS, dependencies=(lost,)))
    log_in(client, "art")
    refused = sent(client, model)
    assert refused.status_code == 422
    assert 'id="allow_missing-error"' in refused.text
    assert submitted(served, sent(client, model, allow_missing="on")).options.allow_missing
    assert re.search(r'name="allow_missing" checked', client.get(f"/submit?model={model.id}&allow_missing=on").text)


def test_projects_and_pools_are_offered_that_one_may_use_and_no_others(client: TestClient, served: Served) -> None:
    repository = served.farm.repository
    given_worker(served.farm, "w1", pools=("default", "gpu", "secret"))
    repository.projects.add("films", ("gpu",), actor=ACTOR)
    repository.projects.add("games", ("secret",), actor=ACTOR)
    model = given_model(served.farm, "dragon")
    repository.users.add("flo", Role.ARTIST, ("films", "default"), password=None, actor=ACTOR)
    flo = served.token("flo")

    def offered(headers: dict[str, str]) -> tuple[set[str], set[str]]:
        text = client.get(f"/submit?model={model.id}", headers=headers).text
        lists = [re.search(rf'name="{name}".*?</select>', text, re.S) for name in ("project", "pool")]
        projects, pools = (set(re.findall(r'value="([^"]*)"', each[0])) for each in lists if each)
        return projects, pools

    assert offered(flo) == ({"default", "films"}, {"default", "gpu", "secret"})
    repository.projects.set_pools("default", ("default",), actor=ACTOR)
    assert offered(flo) == ({"default", "films"}, {"default", "gpu"})
    log_in(client, "ada")
    assert offered({}) == ({"default", "films", "games"}, {"default", "gpu", "secret"})


def test_who_may_not_submit_is_offered_nothing_and_let_do_nothing(client: TestClient, served: Served) -> None:
    model = given_model(served.farm, "dragon")
    log_in(client, "vic")
    assert 'href="/submit"' not in client.get("/").text
    assert 'id="upload"' not in client.get("/submit").text
    assert sent(client, model).status_code == 403
    assert not served.farm.repository.summaries.newest()


def test_a_look_at_the_page_leaves_no_refusal_in_the_audit_log(client: TestClient, served: Served) -> None:
    served.person("flo", Role.ARTIST, "films", "games")
    flo = served.token("flo")
    log_in(client, "vic")
    for headers in ({}, flo):
        text = client.get("/submit", headers=headers).text
        assert "There is no project" not in text
    assert not served.farm.repository.audit.newest(entry_filter=AuditFilter(refused=True))
