"""Names that lead elsewhere, pieces of uploads in any order, any header and range: all get an answer in sense."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from renderctl.core.actors import Role
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, FACTS, close, given_job, make_farm, work_off
from tests.server.conftest import Served

pytestmark = pytest.mark.slow
API = "/api/v1"
SCENE = b"BLENDER-v500 " + bytes(1000)
DIGEST = hashlib.sha256(SCENE).hexdigest()
ELSEWHERE = (
    "../../elsewhere",
    "/elsewhere",
    "..",
    "a/../../../elsewhere",
    "..\\elsewhere",
    "elsewhere\0.png",
    "~/elsewhere",
)
QUICK = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class Place:
    """A server with a rendered job, and somebody who may do everything."""

    def __init__(self, served: Served) -> None:
        self.farm, self.client = served.farm, served.client
        self.headers = served.person("ada", Role.ADMIN, "default")
        self.job = given_job(served.farm, "1").id
        work_off(served.farm)
        self.image = f"{API}/jobs/{self.job}/outputs/1/0001.png"

    def ask(self, method: str, path: str, body: Any = None) -> int:
        answer = self.client.request(method, path, json=body, headers=self.headers)
        assert answer.status_code < 500, f"{method} {path}: {answer.text}"
        return answer.status_code


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    farm = make_farm(tmp_path_factory.mktemp("odd") / "below" / "data")
    with TestClient(create_app(LocalCommands(farm.settings, ACTOR, farm)), base_url="http://farm.test") as client:
        yield Place(Served(farm, client))
    close(farm)


def files(root: Path) -> set[str]:
    return {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_leads_nowhere_else_wherever_it_stands(place: Place, name: str) -> None:
    root, data = place.farm.settings.data_dir.parents[1], place.farm.settings.data_dir
    before = {each for each in files(root) if not (root / each).is_relative_to(data)}
    place.client.put(f"{API}/uploads/{DIGEST}?size={len(SCENE)}", content=SCENE, headers=place.headers)
    file = {"path": "shot.blend", "digest": DIGEST, "size": len(SCENE)}
    model = {"name": name, "main": "shot.blend", "facts": FACTS.as_document(), "inputs": [file]}
    assert place.ask("POST", f"{API}/models", model | {"name": "shot", "inputs": [file | {"path": name}]}) == 422
    assert place.ask("POST", f"{API}/models", model | {"name": "shot", "main": name}) == 422
    place.ask("POST", f"{API}/models", model)
    assert place.ask("POST", f"{API}/uploads/wanted", {"files": [file | {"digest": name}]}) == 422
    job = {"model": "shot", "frames": "1"}
    for field in ("name", "pool", "project"):
        place.ask("POST", f"{API}/jobs", job | {field: name})
    for field in ("cameras", "after", "requires"):
        place.ask("POST", f"{API}/jobs", job | {field: [name]})
    place.ask("POST", f"{API}/users", {"name": name})
    place.ask("POST", f"{API}/projects", {"name": name, "pools": [name]})
    place.ask("POST", f"{API}/tokens", {"name": name})
    escaped = name.replace("\0", "%00")
    for noun in (
        "jobs/",
        "models/",
        "tokens/",
        "uploads/",
        "attempts/",
        f"jobs/{place.job}/outputs/1/",
        "../../static/",
    ):
        for spelled in (escaped, escaped.replace("/", "%2f").replace(".", "%2e")):
            assert place.ask("GET", f"{API}/{noun}{spelled}") in (200, 400, 404, 405, 422)
    work_off(place.farm, name="w2")
    assert {each for each in files(root) if not (root / each).is_relative_to(data)} == before
    assert not [each for each in files(root) if "elsewhere" in Path(each).name]


PIECES = st.lists(st.tuples(st.integers(-1, len(SCENE) + 2), st.integers(0, len(SCENE) + 2)), max_size=6)


@QUICK
@example(pieces=[(0, 500), (500, len(SCENE))], size=len(SCENE))
@example(pieces=[(0, 500), (501, len(SCENE))], size=len(SCENE))
@given(pieces=PIECES, size=st.sampled_from([0, 1, len(SCENE) - 1, len(SCENE), len(SCENE) + 1, 1 << 50, -1]))
def test_pieces_in_any_order_make_the_file_or_nothing(place: Place, pieces: list[tuple[int, int]], size: int) -> None:
    place.farm.store.remove([DIGEST])
    for part in (place.farm.settings.data_dir / "incoming").glob("*"):
        part.unlink()
    for start, end in pieces:
        address = f"{API}/uploads/{DIGEST}?size={size}&offset={start}"
        answer = place.client.put(address, content=SCENE[max(0, start) : end], headers=place.headers)
        assert answer.status_code in (200, 409, 413, 422), answer.text
        if answer.status_code == 200 and answer.json()["complete"]:
            assert b"".join(place.farm.store.read(DIGEST)) == SCENE
    received = place.client.get(f"{API}/uploads/{DIGEST}", headers=place.headers).json()["received"]
    assert 0 <= received <= max(size, 0)


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
RANGES = st.one_of(TEXT, st.from_regex(r"bytes=-?[0-9]{0,25}-[0-9]{0,25}(,[0-9]{0,3}-[0-9]{0,3})?", fullmatch=True))


@QUICK
@example(said="bytes=0-0")
@example(said="bytes=-0")
@example(said="bytes=0-18446744073709551616")
@given(said=RANGES)
def test_any_range_is_answered_with_that_part_of_the_image_or_all_of_it(place: Place, said: str) -> None:
    whole = place.client.get(place.image, headers=place.headers).content
    answer = place.client.get(
        place.image,
        headers=[*place.headers.items(), ("Range", said.encode("latin-1"))],  # type: ignore[arg-type]
    )
    assert answer.status_code in (200, 206, 416)
    if answer.status_code == 200:
        assert answer.content == whole
    if answer.status_code == 206:
        first, last, size = answer.headers["content-range"].removeprefix("bytes ").replace("/", "-").split("-")
        assert int(size) == len(whole)
        assert answer.content == whole[int(first) : int(last) + 1] != b""


HEADERS: tuple[str, ...] = ("Authorization", "Cookie", "X-CSRF-Token", "If-None-Match", "If-Range")
HEADERS += (
    "Idempotency-Key",
    "X-Forwarded-For",
    "Accept",
    "Content-Type",
    "Content-Length",
    "Host",
    "Last-Event-ID",
    "X-Forwarded-Proto",
)


@QUICK
@example(name="Authorization", said="Bearer ")
@example(name="Authorization", said="Bearer \xff")
@example(name="Cookie", said="renderctl_session=\xff; renderctl_session=")
@example(name="Content-Length", said="-1")
@given(name=st.sampled_from(HEADERS), said=TEXT)
def test_any_header_is_answered_without_failing(place: Place, name: str, said: str) -> None:
    odd = {name: said.encode("latin-1")}
    for method, path in (("GET", f"{API}/jobs"), ("GET", place.image), ("POST", f"{API}/jobs"), ("GET", "/jobs")):
        answer = place.client.request(method, path, headers=place.headers | odd, follow_redirects=False)  # type: ignore[arg-type]
        assert answer.status_code < 500, f"{method} {path}: {answer.text}"


def test_a_secret_is_not_told_back(place: Place) -> None:
    secret = os.urandom(8).hex()
    answer = place.client.get(f"{API}/jobs", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, secret in answer.text) == (401, False)
