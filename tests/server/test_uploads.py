"""Files that are sent to the server, and models made of them."""

import hashlib
from typing import Any

import pytest

from renderctl.core.actors import Role
from tests.farms import FACTS, given_model, work_off
from tests.server.conftest import Served

API = "/api/v1"
SCENE = b"BLENDER-v500 " + bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(SCENE).hexdigest()


def file(path: str = "shot.blend", content: bytes = SCENE) -> dict[str, Any]:
    return {"path": path, "digest": hashlib.sha256(content).hexdigest(), "size": len(content)}


def wanted(served: Served, who: dict[str, str], *files: dict[str, Any]) -> list[str]:
    answer = served.client.post(f"{API}/uploads/wanted", json={"files": list(files)}, headers=who)
    assert answer.status_code == 200, answer.text
    return [each["digest"] for each in answer.json()]


def send(
    served: Served, who: dict[str, str], content: bytes = SCENE, *, offset: int = 0, upto: int | None = None
) -> Any:
    digest, size = hashlib.sha256(content).hexdigest(), len(content)
    address = f"{API}/uploads/{digest}?size={size}&offset={offset}"
    return served.client.put(address, content=content[offset:upto], headers=who)


def offer(served: Served, who: dict[str, str], *files: dict[str, Any], **more: Any) -> Any:
    body = {"name": "shot", "main": files[0]["path"], "facts": FACTS.as_document(), "inputs": list(files)} | more
    return served.client.post(f"{API}/models", json=body, headers=who)


def test_a_scene_is_sent_kept_submitted_and_rendered(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    assert wanted(served, ada, file()) == [DIGEST]
    assert send(served, ada).json() == {"received": len(SCENE), "complete": True}
    added = offer(served, ada, file())
    assert (added.status_code, added.json()["model"]["ref"]) == (201, "shot@1")
    assert offer(served, ada, file()).status_code == 200
    assert wanted(served, ada, file()) == []
    job = served.client.post(f"{API}/jobs", json={"model": "shot", "frames": "1"}, headers=ada).json()["job"]
    work_off(served.farm)
    assert served.client.get(f"{API}/jobs/{job['id']}?cached=false", headers=ada).json()["state"] == "succeeded"


def test_what_broke_off_goes_on_where_it_ended(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    assert send(served, ada, upto=3_000_000).json() == {"received": 3_000_000, "complete": False}
    assert served.client.get(f"{API}/uploads/{DIGEST}", headers=ada).json()["received"] == 3_000_000
    assert send(served, ada, offset=4_000_000).status_code == 409
    assert send(served, ada, offset=3_000_000).json()["complete"]
    assert served.farm.store.missing({DIGEST}) == set()
    assert not list((served.farm.settings.data_dir / "incoming").iterdir())


def test_bytes_that_are_not_those_that_were_promised_are_thrown_away(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    address = f"{API}/uploads/{DIGEST}?size={len(SCENE)}"
    answer = served.client.put(address, content=SCENE[:-1] + b"!", headers=ada)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "digest_mismatch")
    assert served.client.get(f"{API}/uploads/{DIGEST}", headers=ada).json()["received"] == 0
    assert served.client.put(address, content=SCENE + b"!", headers=ada).status_code == 413
    assert served.farm.store.missing({DIGEST}) == {DIGEST}


def test_nobody_is_told_that_the_farm_has_what_he_may_not_read(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    eve = served.person("eve", Role.ARTIST, "games")
    assert send(served, ada).json()["complete"]
    assert offer(served, ada, file()).status_code == 201
    assert wanted(served, ada, file()) == []
    assert wanted(served, eve, file()) == [DIGEST]
    answer = offer(served, eve, file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "missing_files")
    submitted = {"model": "shot", "frames": "1", "inputs": [file("_inputs/1/x.blend")]}
    assert served.client.post(f"{API}/jobs", json=submitted, headers=eve).status_code == 404
    assert send(served, eve).json()["complete"]
    assert offer(served, eve, file()).status_code == 201


def test_two_people_who_send_the_same_file_do_not_go_on_with_each_others(served: Served) -> None:
    ada, eve = served.person("ada", Role.ARTIST, "films"), served.person("eve", Role.ARTIST, "games")
    send(served, ada, upto=1_000_000)
    assert served.client.get(f"{API}/uploads/{DIGEST}", headers=eve).json()["received"] == 0


@pytest.mark.parametrize(
    "path", ["../shot.blend", "/etc/passwd", "a/../../x", "", ".", "a//b", "./a", "a\0b", "x" * 300, "a/./b"]
)
def test_a_file_lies_below_the_root_of_its_model_or_nowhere(served: Served, path: str) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    send(served, ada)
    assert offer(served, ada, file(path)).status_code == 422
    assert offer(served, ada, file(), file(path)).status_code == 422


def test_folders_of_the_scene_are_moved_below_the_root_alone(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    send(served, ada)
    facts = FACTS.as_document() | {"relocations": {"/home/ada": "../../etc"}}
    assert offer(served, ada, file(), facts=facts).status_code == 422


def test_a_size_that_is_not_the_files_is_refused(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    send(served, ada)
    assert offer(served, ada, file() | {"size": 7}).json()["error"]["code"] == "missing_files"


def test_the_same_path_twice_is_refused(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    send(served, ada)
    assert offer(served, ada, file(), file()).status_code == 422


def test_an_artist_of_several_projects_sends_and_says_for_which_the_model_is(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films", "games")
    assert send(served, ada).json()["complete"]
    added = offer(served, ada, file(), project="games")
    assert (added.status_code, added.json()["model"]["project"]) == (201, "games")
    assert offer(served, ada, file(), project="other").status_code == 404


def test_a_viewer_sends_nothing(served: Served) -> None:
    bob = served.person("bob", Role.VIEWER, "default")
    given_model(served.farm)
    assert send(served, bob).status_code == 403
    assert served.client.post(f"{API}/uploads/wanted", json={"files": []}, headers=bob).status_code == 403


def test_a_job_brings_files_that_were_sent_for_it(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    given_model(served.farm)
    send(served, ada)
    inputs = [file("_inputs/1/tree.blend")]
    options = {"replacements": [{"object": "Tree", "file": "_inputs/1/tree.blend"}]}
    body = {"model": "shot", "frames": "1", "options": options, "inputs": inputs}
    job = served.client.post(f"{API}/jobs", json=body, headers=ada).json()["job"]
    assert [each.path for each in served.farm.repository.jobs.inputs(job["id"])] == ["_inputs/1/tree.blend"]
    elsewhere = body | {"options": {"replacements": [{"object": "Tree", "file": "/etc/passwd"}]}}
    assert served.client.post(f"{API}/jobs", json=elsewhere, headers=ada).status_code == 422
