"""What a client says of its scene is held against limits, before anything is made of it."""

from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import event

from renderctl.core.actors import Role
from tests.farms import FACTS
from tests.server.conftest import Served

SCENE = b"BLENDER-v500 "
FILE = {"path": "a.blend", "digest": sha256(SCENE).hexdigest(), "size": len(SCENE)}
DEPENDENCY = {"path": "//a.png", "source": "/a.png", "kind": "image", "owner": "Image: a"}


def offer(served: Served, who: dict[str, str], facts: dict[str, Any]) -> Any:
    address = f"/api/v1/uploads/{FILE['digest']}?size={FILE['size']}"
    assert served.client.put(address, content=SCENE, headers=who).status_code == 200
    body = {"name": "odd", "main": "a.blend", "facts": facts, "inputs": [FILE]}
    return served.client.post("/api/v1/models", json=body, headers=who)


def facts_with(scene: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    document = FACTS.as_document() | changes
    document["scenes"] = [{**item, **(scene or {})} for item in document["scenes"]]
    return document


@pytest.mark.parametrize(
    "facts",
    [
        facts_with({"frame_end": 2**70}),
        facts_with({"frame_start": -(2**40)}),
        facts_with({"frame_step": 2**70}),
        facts_with({"frame_current": 10**9}),
        facts_with({"cameras": [f"c{number}" for number in range(10_001)]}),
        facts_with({"cameras": ["c" * 256]}),
        facts_with({"view_layers": ["layer"] * 1001}),
        facts_with({"resolution": [2**64, 2**64]}),
        facts_with({"samples": 2**64}),
        facts_with({"fps": -1}),
        facts_with({"name": "Scene\0"}),
        facts_with({"objects": -1}),
        facts_with(saved_by="x.y"),
        facts_with(saved_by="4"),
        facts_with(saved_by="9" * 5000 + ".1"),
        facts_with(opened_by="today"),
        facts_with(faces=2**70),
        facts_with(scripts=["x"] * 10_001),
        facts_with(scripts=["x" * 5000]),
        facts_with(scripts=["x" * 4000] * 5000),
        facts_with(dependencies=[DEPENDENCY | {"owner": "o" * 5000}]),
        facts_with(dependencies=[DEPENDENCY | {"size": 2**70}]),
        facts_with(relocations={f"/home/{number}": "." for number in range(10_001)}),
        facts_with(active_scene="no such scene"),
    ],
)
def test_facts_that_no_scene_has_are_refused(served: Served, facts: dict[str, Any]) -> None:
    answer = offer(served, served.person("eve", Role.ARTIST, "ads"), facts)
    assert answer.status_code in (413, 422), answer.text
    assert len(answer.text) < 2000
    assert served.farm.repository.models.newest() == []


@pytest.mark.slow
def test_facts_of_a_large_scene_are_taken(served: Served) -> None:
    cameras = [f"Camera {number}" for number in range(2000)]
    dependencies = [DEPENDENCY | {"path": f"//{number}.png"} for number in range(20_000)]
    scene = {"frame_start": -1000, "frame_end": 1_048_574, "cameras": cameras}
    facts = facts_with(scene, dependencies=dependencies, faces=10**12)
    assert offer(served, served.person("ada", Role.ARTIST, "films"), facts).status_code == 201


@pytest.mark.parametrize(
    "request_",
    [
        {"frames": ",".join(["0-1000000x2"] * 3000)},
        {"frames": "1," * 40_000 + "1"},
        {"frames": ",".join(f"{number}-{number + 100}x7" for number in range(0, 30_000, 5))},
        {"cameras": ["Camera"] * 10_001},
        {"after": ["job"] * 101},
        {"requires": ["gpu"] * 101},
        {"requires": ["g\0pu"]},
        {"name": "n\0"},
        {"pool": "p" * 256},
        {"priority": 2**70},
        {"max_slots": 2**70},
        {"max_attempts": 2**70},
        {"options": {"settings": {f"render.a{number}": "1" for number in range(1001)}}},
        {"options": {"settings": {"render.a": "x" * 5000}}},
        {"options": {"settings": {"r" * 5000: "x"}}},
        {"options": {"scene": "S" * 300}},
        {"options": {"replacements": [{"object": "a", "file": "a.blend"}] * 1001}},
    ],
    ids=lambda body: str(body)[:30],
)
def test_a_request_beyond_all_measure_is_refused_at_once(served: Served, request_: dict[str, Any]) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    assert offer(served, ada, FACTS.as_document()).status_code == 201
    answer = served.client.post("/api/v1/jobs", json={"model": "odd", **request_}, headers=ada)
    assert answer.status_code in (413, 422), answer.text
    assert len(answer.text) < 2000


def test_frames_to_render_again_are_held_against_the_same_limits(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    offer(served, ada, FACTS.as_document())
    job = served.client.post("/api/v1/jobs", json={"model": "odd", "frames": "1"}, headers=ada).json()["job"]["id"]
    answer = served.client.post(f"/api/v1/jobs/{job}/retry", json={"frames": "1," * 40_000 + "1"}, headers=ada)
    assert answer.status_code == 422


@pytest.mark.slow
def test_a_list_of_models_is_small_whatever_is_said_of_them(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    missing = [DEPENDENCY | {"path": f"//{number}.png", "owner": "o" * 1000} for number in range(3000)]
    facts = facts_with({"cameras": [f"Camera {number}" for number in range(5000)]}, dependencies=missing)
    assert offer(served, ada, facts).status_code == 201
    listed = served.client.get("/api/v1/models", headers=ada)
    assert len(listed.content) < 100_000
    assert len(listed.json()[0]["facts"]["dependencies"]) == 10
    shown = served.client.get("/api/v1/models/odd", headers=ada).json()
    assert (len(shown["facts"]["dependencies"]), len(shown["facts"]["scenes"][0]["cameras"])) == (3000, 5000)
    assert served.client.get("/models", headers=ada).status_code < 500


def test_a_name_is_looked_up_without_the_facts_of_all_its_versions(served: Served) -> None:
    ada = served.person("ada", Role.ARTIST, "films")
    offer(served, ada, FACTS.as_document())
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(served.farm.repository.database.engine, "before_cursor_execute", note)
    served.farm.repository.models.find("odd")
    event.remove(served.farm.repository.database.engine, "before_cursor_execute", note)
    by_name, by_id = (request for request in asked if "FROM model" in request)
    assert "facts" not in by_name
    assert "facts" in by_id
