"""Scenes that come from a browser: a Blender of the server looks at them, with a fake one here."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.executors.images import RenderImage
from renderctl.farm import Farm
from tests.fake_blender import FakeExecutor
from tests.farms import FACTS, close, make_farm, wait_for
from tests.server.conftest import Served
from tests.server.pages import log_in
from tests.server.test_uploads import API, DIGEST, SCENE, file, send

WOOD = b"\x89PNG of wood"


class Container(FakeExecutor):
    """Has an image with a Blender, and looks at scenes as it is told to."""

    isolated = True
    empty = False

    def images(self) -> Sequence[RenderImage]:
        made = datetime(2026, 1, 1, tzinfo=UTC)
        image = RenderImage("5.0.1", "blender:5.0.1", "sha256:1", 1, made, Path("/blender"), module=False)
        return [] if self.empty else [image]


def named(raw: str, absolute: Path | str, *, exists: bool = True, kind: str = "image") -> dict[str, Any]:
    return {"path": raw, "absolute": str(absolute), "kind": kind, "owner": f"Image: {raw}", "exists": exists}


def facts(*files: Mapping[str, Any]) -> dict[str, Any]:
    document = FACTS.as_document()
    del document["relocations"], document["dependencies"]
    return document | {"files": list(files)}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = make_farm(tmp_path / "data", executor=Container(looks=lambda _scene, _folder: facts()))
    yield farm
    close(farm)


@pytest.fixture
def ada(served: Served) -> dict[str, str]:
    who = served.person("ada", Role.ARTIST, "default")
    for content in (SCENE, WOOD):
        assert send(served, who, content).json()["complete"]
    return who


def inspect(served: Served, who: dict[str, str], *files: dict[str, Any], **more: Any) -> Any:
    body = {"main": files[0]["path"], "files": list(files)} | more
    return served.client.post(f"{API}/models/inspect", json=body, headers=who)


def looking(served: Served, looks: Any) -> None:
    assert isinstance(served.farm.executor, Container)
    served.farm.executor.looks = looks


def test_a_scene_is_looked_at_below_one_folder_with_the_files_that_it_needs(
    served: Served, ada: dict[str, str]
) -> None:
    seen: dict[str, bytes] = {}

    def looks(scene: Path, folder: Path) -> dict[str, Any]:
        seen.update({str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()})
        return facts(named("//../tex/wood.png", folder / "proj/tex/wood.png"))

    looking(served, looks)
    sent = (file("proj/shots/shot.blend"), file("proj/tex/wood.png", WOOD), file("proj/unused.png", WOOD))
    told = inspect(served, ada, *sent).json()
    assert seen == {"proj/shots/shot.blend": SCENE, "proj/tex/wood.png": WOOD, "proj/unused.png": WOOD}
    assert [each["path"] for each in told["inputs"]] == ["proj/shots/shot.blend", "proj/tex/wood.png"]
    assert (told["missing"], told["facts"]["relocations"]) == ([], {})
    assert told["facts"]["dependencies"][0]["stored"] == "proj/tex/wood.png"
    body = {"name": "shot", "main": sent[0]["path"], "facts": told["facts"], "inputs": told["inputs"]}
    assert served.client.post(f"{API}/models", json=body, headers=ada).status_code == 201
    assert not list((served.farm.settings.data_dir / "scratch").iterdir())


@pytest.mark.parametrize(
    "absolute", ["/etc/passwd", "FOLDER/../other/wood.png", "FOLDER-other/wood.png", "FOLDER/not-sent.png", "FOLDER"]
)
def test_what_lies_elsewhere_is_missing_whatever_blender_says(
    served: Served, ada: dict[str, str], absolute: str
) -> None:
    looking(served, lambda _scene, folder: facts(named("/etc/passwd", absolute.replace("FOLDER", str(folder)))))
    told = inspect(served, ada, file(), file("wood.png", WOOD)).json()
    assert [(each["path"], each["source"], each["stored"]) for each in told["missing"]] == [
        ("/etc/passwd", "/etc/passwd", None)
    ]
    assert [each["path"] for each in told["inputs"]] == ["shot.blend"]
    assert str(served.farm.settings.data_dir) not in json.dumps(told)


@pytest.mark.parametrize("path", ["../shot.blend", "/etc/passwd", "a/../../x.blend", "a\0b.blend", "./x.blend"])
def test_no_file_is_put_elsewhere_than_below_the_folder(served: Served, ada: dict[str, str], path: str) -> None:
    assert inspect(served, ada, file(path)).status_code == 422
    assert inspect(served, ada, file(), file(path, WOOD)).status_code == 422


def test_only_what_one_has_sent_is_looked_at(served: Served, ada: dict[str, str]) -> None:
    eve = served.person("eve", Role.ARTIST, "games")
    answer = inspect(served, eve, file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "missing_files")
    assert inspect(served, ada, file() | {"size": 7}).status_code == 422
    assert inspect(served, ada, file(), main="other.blend").status_code == 422


def test_what_is_no_scene_is_refused_in_words_without_a_place(served: Served, ada: dict[str, str]) -> None:
    answer = inspect(served, ada, file("wood.blend", WOOD))
    assert answer.json()["error"]["message"].startswith("wood.blend is not a Blender scene")
    assert isinstance(served.farm.executor, Container)
    place = served.farm.settings.data_dir
    served.farm.executor.refusal = {"fault": "scene", "reason": f"{place}/x can not be opened.", "whole_job": True}
    answer = inspect(served, ada, file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "scene_unreadable")


@pytest.mark.parametrize("nonsense", [{"scenes": 7}, {"files": [{"path": "x"}]}, {"odd": 1}])
def test_an_answer_that_makes_no_sense_is_the_scenes_fault(
    served: Served, ada: dict[str, str], nonsense: dict[str, Any]
) -> None:
    looking(served, lambda _scene, _folder: facts() | nonsense)
    answer = inspect(served, ada, file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "scene_unreadable")


def test_a_server_without_a_blender_says_what_an_admin_and_what_the_artist_can_do(
    served: Served, ada: dict[str, str]
) -> None:
    assert isinstance(served.farm.executor, Container)
    served.farm.executor.empty = True
    answer = inspect(served, ada, file())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "blender_missing")
    assert "`renderctl images build`" in error["hint"]
    assert "`renderctl upload SCENE`" in error["hint"]


def test_a_page_of_a_server_without_a_blender_says_so_before_anything_is_sent(
    client: TestClient, served: Served
) -> None:
    log_in(client, "art")
    assert 'id="drop"' in client.get("/submit").text
    assert isinstance(served.farm.executor, Container)
    served.farm.executor.empty = True
    text = client.get("/submit").text
    assert "This server has no Blender that could look at a scene." in text
    assert "An admin can help" in text
    assert 'id="drop"' not in text


def test_no_scene_is_looked_at_where_nothing_would_keep_it_from_the_servers_files(
    served: Served, ada: dict[str, str]
) -> None:
    looking(served, lambda _scene, _folder: pytest.fail("it was looked at"))
    assert isinstance(served.farm.executor, Container)
    served.farm.executor.sandboxed = False
    answer = inspect(served, ada, file())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "blender_missing")
    assert "no Landlock" in answer.json()["error"]["hint"]


def test_one_scene_is_looked_at_at_a_time(served: Served, ada: dict[str, str]) -> None:
    began, go_on = threading.Event(), threading.Event()

    def looks(_scene: Path, _folder: Path) -> dict[str, Any]:
        began.set()
        go_on.wait(20)
        return facts()

    looking(served, looks)
    answers: list[int] = []
    first = threading.Thread(target=lambda: answers.append(inspect(served, ada, file()).status_code))
    first.start()
    assert began.wait(20)
    second = inspect(served, ada, file())
    assert (second.status_code, second.json()["error"]["code"]) == (503, "busy")
    go_on.set()
    first.join(20)
    assert answers == [200]
    wait_for(served.farm, lambda: inspect(served, ada, file()).status_code == 200)


def test_a_viewer_has_nothing_looked_at(served: Served, ada: dict[str, str]) -> None:
    assert inspect(served, served.person("bob", Role.VIEWER, "default"), file()).status_code == 403
    assert served.farm.store.missing({DIGEST}) == set()
