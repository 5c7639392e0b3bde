"""Where files lie on somebody's machine, or on the server, is told to nobody over HTTP."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renderctl.blender.facts import Facts, SceneFile
from renderctl.core.actors import Role
from renderctl.core.jobs import Input
from renderctl.core.models import Dependency, ModelFacts
from renderctl.core.redaction import redacted
from renderctl.core.settings import Settings
from renderctl.farm.models.path_mapping import map_paths
from renderctl.farm.models.upload import facts_of
from tests.fake_blender import FakeExecutor, failing
from tests.farms import FACTS, given_job, given_model, quick_settings, work_off
from tests.hostile.client.test_facts_that_no_scene_has import FILE, offer
from tests.server.conftest import Served

HOME = Path("/home/ada/secret-project")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The embedded farm: it has folders to tell of."""
    return quick_settings(tmp_path)


def facts_sent(raw: str, *, exists: bool = True) -> ModelFacts:
    """What a client sends of a scene that names a texture so."""
    scene, wood = HOME / "scenes/shot.blend", HOME / "textures/wood.png"
    layout = map_paths(scene, {wood} if exists else set())
    hashed = {path: Input(path, "0" * 64, 1) for path in layout.stored.values()}
    known = Facts(FACTS, (SceneFile(raw, str(wood), "image", "Image: wood", exists),))
    return facts_of(known, layout, hashed)


@pytest.mark.parametrize("exists", [True, False])
def test_a_scene_with_relative_paths_tells_nothing_of_the_disk_that_it_lies_on(exists: bool) -> None:
    facts = facts_sent("//../textures/wood.png", exists=exists)
    assert "/home" not in json.dumps(facts.as_document())
    assert "ada" not in json.dumps(facts.as_document())
    (wood,) = facts.dependencies
    assert (wood.stored is not None) == exists


def test_a_scene_with_absolute_paths_tells_the_one_folder_with_which_they_begin() -> None:
    """A session finds the files by it; the .blend, which is sent, has it in each of its paths."""
    facts = facts_sent(str(HOME / "textures/wood.png"))
    assert facts.relocations == {str(HOME): "."}
    assert [dependency.source for dependency in facts.dependencies] == ["textures/wood.png"]


OLD = {
    "dependencies": [
        {"path": "//w.png", "source": "/home/ada/w.png", "kind": "image", "owner": "Image: w", "stored": "a.blend"},
        {"path": "/home/ada/w.png", "source": "/home/ada/w.png", "kind": "image", "owner": "Image: v"},
    ],
    "relocations": {"/home/ada": "."},
}


def test_what_an_older_client_sends_too_much_is_not_kept(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    facts = FACTS.as_document() | OLD | {"dependencies": OLD["dependencies"][:1]}  # type: ignore[index]
    model = offer(served, ada, facts).json()["model"]
    assert "/home" not in json.dumps(model)
    stored = served.farm.repository.models.get(model["id"]).facts
    assert "/home" not in json.dumps(stored.as_document())
    assert FILE["path"] in {dependency.source for dependency in stored.dependencies}


def test_what_is_kept_of_older_uploads_is_not_told(served: Served) -> None:
    bob = served.person("bob", Role.ARTIST, "default")
    facts = replace(
        FACTS,
        dependencies=tuple(Dependency(**item) for item in OLD["dependencies"]),  # type: ignore[arg-type]
        relocations={"/home/ada": "."},
    )
    given_model(served.farm, "old", facts)
    for path in ("/api/v1/models", "/api/v1/models/old"):
        text = served.client.get(path, headers=bob).text
        assert text.count("/home/ada") == 2, "what the .blend itself has, as path and as source of what is missing"
        assert "relocations" in text
    answer = served.client.get("/api/v1/models/old", headers=bob).json()
    assert answer["facts"]["relocations"] == {}
    assert answer["facts"]["dependencies"][0]["source"] == "a.blend"


def test_an_error_of_the_server_names_no_folder_of_it(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    job = given_job(served.farm, "1")
    work_off(served.farm)
    data = served.farm.settings.data_dir
    shutil.rmtree(data / "store" / "blobs")
    answers = [
        served.client.get(f"/api/v1/jobs/{job.id}/outputs/1/0001.png", headers=ada),
        served.client.put(f"/api/v1/uploads/{FILE['digest']}?size=13", content=b"BLENDER-v500 ", headers=ada),
        served.client.get("/readyz"),
    ]
    assert {item.status_code for item in answers} == {503}
    for answer in answers:
        assert str(data) not in answer.text
        assert str(data.parent) not in answer.text


def test_addresses_of_images_in_a_folder_of_the_server_lead_to_the_server(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    job = given_job(served.farm, "1-2")
    work_off(served.farm)
    links: list[dict[str, Any]] = served.client.get(f"/api/v1/jobs/{job.id}/links", headers=ada).json()
    assert [link["url"] for link in links] == [
        f"http://farm.test/api/v1/jobs/{job.id}/outputs/{number}/{number:04d}.png" for number in (1, 2)
    ]
    assert served.client.get(links[0]["url"], headers=ada).status_code == 200
    assert served.client.get(links[0]["url"]).status_code == 401


def test_folders_are_taken_out_of_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(tmp_path / ".local/share/renderctl")
    text = f"{settings.data_dir}/scratch/1/wood.png can not be read; {tmp_path}/x, /etc/y"
    assert redacted(text, settings) == "…/scratch/1/wood.png can not be read; ~/x, /etc/y"
    monkeypatch.setenv("HOME", "/")
    assert redacted("/etc/y", settings) == "/etc/y"


def test_what_made_a_task_fail_names_no_folder_of_its_worker(served: Served) -> None:
    data = served.farm.settings.data_dir
    assert isinstance(served.farm.executor, FakeExecutor)
    served.farm.executor.behaviours[1] = failing("scene", f"{data}/scratch/w1/wood.png is gone", whole_job=True)
    job = given_job(served.farm, "1")
    work_off(served.farm)
    failed = served.farm.repository.attempts.of_job(job.id)[-1]
    assert "wood.png is gone" in str(failed.error)
    assert str(data) not in str(failed.error)
