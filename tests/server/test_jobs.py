"""Jobs over HTTP: the same answers as the command line's `--json`."""

import re

from renderctl.core.actors import Role, Scope
from renderctl.core.errors import RenderctlError
from renderctl.server.errors import STATUS, status_of
from tests.farms import given_job, given_model, work_off
from tests.server.conftest import Served
from tests.server.reference import PAGE, page

API = "/api/v1"


def test_nobody_gets_in_without_a_token(served: Served) -> None:
    answer = served.client.get(f"{API}/jobs")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "login_needed"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_model_is_submitted_watched_and_its_images_fetched(served: Served) -> None:
    given_model(served.farm)
    ada = served.person("ada", Role.ADMIN, "default")
    answer = served.client.post(f"{API}/jobs", json={"model": "shot", "frames": "1-3"}, headers=ada)
    assert answer.status_code == 201, answer.text
    job = answer.json()["job"]
    assert (job["state"], job["tasks"]["queued"], job["owner"]) == ("queued", 3, "ada")
    work_off(served.farm)
    job = served.client.get(f"{API}/jobs/{job['id']}?cached=false", headers=ada).json()
    assert (job["state"], job["outputs"]) == ("succeeded", 3)
    page = served.client.get(f"{API}/jobs/{job['id']}/outputs", headers=ada).json()
    assert [each["name"] for each in page["outputs"]] == ["0001.png", "0002.png", "0003.png"]
    first = page["outputs"][0]
    address = f"{API}/jobs/{job['id']}/outputs/1/0001.png"
    image = served.client.get(address, headers=ada)
    assert image.content.startswith(b"\x89PNG")
    assert len(image.content) == first["size"]
    assert image.headers["content-type"] == "image/png"
    part = served.client.get(address, headers=ada | {"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert part.headers["content-range"] == f"bytes 1-3/{first['size']}"
    assert served.client.get(address, headers=ada | {"Range": "bytes=-4"}).content == image.content[-4:]
    assert served.client.get(address, headers=ada | {"Range": "bytes=99999999-"}).status_code == 416
    assert served.client.get(address, headers=ada | {"If-None-Match": image.headers["etag"]}).status_code == 304


def test_the_same_idempotency_key_makes_one_job(served: Served) -> None:
    given_model(served.farm)
    ada = served.person("ada", Role.ARTIST, "default") | {"Idempotency-Key": "k1"}
    first = served.client.post(f"{API}/jobs", json={"model": "shot", "frames": "1"}, headers=ada)
    again = served.client.post(f"{API}/jobs", json={"model": "shot", "frames": "1"}, headers=ada)
    other = served.client.post(f"{API}/jobs", json={"model": "shot", "frames": "2"}, headers=ada)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["job"]["id"] == again.json()["job"]["id"]


def test_no_file_of_the_servers_own_disk_can_be_named(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN, "default")
    scene = served.farm.settings.data_dir / "secret.blend"
    scene.write_bytes(b"BLENDER-v500 secret")
    for model in (str(scene), f"file://{scene}", "../secret.blend"):
        assert served.client.post(f"{API}/jobs", json={"model": model, "frames": "1"}, headers=ada).status_code == 404
    job = given_job(served.farm, "1").id
    work_off(served.farm)
    for name in ("../0001.png", "..%2f..%2f0001.png", "/etc/passwd", "%2e%2e/0001.png", "0001.png%00"):
        assert served.client.get(f"{API}/jobs/{job}/outputs/1/{name}", headers=ada).status_code in (400, 404, 422)


def test_jobs_come_in_pages(served: Served) -> None:
    ids = [given_job(served.farm, "1").id for _ in range(5)]
    ada = served.person("ada", Role.ADMIN)
    seen, before = [], None
    while True:
        query = {"limit": 2} | ({"before": before} if before else {})
        page = served.client.get(f"{API}/jobs", params=query, headers=ada).json()
        seen += [each["id"] for each in page["jobs"]]
        if (before := page["next"]) is None:
            break
    assert seen == sorted(ids, reverse=True)


def test_a_job_is_steered_and_removed(served: Served) -> None:
    job = given_job(served.farm, "1-3").id
    ada = served.person("ada", Role.OPERATOR)
    for verb, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "canceled")):
        assert served.client.post(f"{API}/jobs/{job}/{verb}", headers=ada).json()["state"] == state
    assert served.client.post(f"{API}/jobs/{job}/pause", headers=ada).status_code == 409
    retried = served.client.post(f"{API}/jobs/{job}/retry", json={"frames": "2"}, headers=ada).json()
    assert retried["tasks"] == 1
    assert served.client.put(f"{API}/jobs/{job}/priority", json={"priority": 9}, headers=ada).json()["priority"] == 9
    removed = served.client.delete(f"{API}/jobs/{job}?force=true", headers=ada)
    assert removed.json()["tasks"] == 3
    assert served.client.get(f"{API}/jobs/{job}", headers=ada).status_code == 404


def test_a_task_tells_where_it_stands_at_the_address_that_never_changes(served: Served) -> None:
    job = given_job(served.farm, "7-8")
    work_off(served.farm)
    ada = served.person("ada", Role.ADMIN)
    for prefix in ("/api", API):
        told = served.client.get(f"{prefix}/tasks/{job.id}-1/status", headers=ada).json()
        assert (told["task"]["id"], told["task"]["frame"], told["task"]["state"]) == (f"{job.id}-1", 7, "succeeded")
        assert (told["progress"], len(told["attempts"]), len(told["outputs"])) == (1.0, 1, 1)
    log = served.client.get(f"{API}/attempts/{told['attempts'][0]['id']}/log", headers=ada).json()
    assert log["text"].startswith("$ ")
    assert served.client.get(f"/api/tasks/{job.id}-9/status", headers=ada).status_code == 404
    assert served.client.get("/api/tasks/nonsense/status", headers=ada).status_code == 404


def test_a_log_is_followed_to_its_end(served: Served) -> None:
    job = given_job(served.farm, "1")
    work_off(served.farm)
    ada = served.person("ada", Role.ADMIN)
    text = served.client.get(f"{API}/jobs/{job.id}/logs/live", headers=ada).text
    assert re.match(r"event: log\ndata: \{.*\}\n\n", text)
    assert text.endswith("event: end\ndata: {}\n\n")


def test_a_token_for_reading_writes_nothing(served: Served) -> None:
    job = given_job(served.farm, "1").id
    served.person("ada", Role.ADMIN)
    reader = served.token("ada", Scope.READ)
    assert served.client.get(f"{API}/jobs/{job}", headers=reader).status_code == 200
    assert served.client.post(f"{API}/jobs/{job}/cancel", headers=reader).status_code == 403


def test_every_error_has_a_status() -> None:
    def below(kind: type[RenderctlError]) -> list[type[RenderctlError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in below(child))]

    assert {status_of(kind) for kind in below(RenderctlError)} == set(STATUS.values())


def test_errors_of_the_address_itself_are_documents_too(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN)
    for method, path, status in (("GET", "/nope", 404), ("PATCH", f"{API}/jobs", 405), ("POST", f"{API}/jobs", 422)):
        answer = served.client.request(method, path, headers=ada, content=b"{")
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "hint"}


def test_it_says_whether_it_lives_and_can_serve(served: Served) -> None:
    assert served.client.get("/healthz").json() == {"status": "ok"}
    assert served.client.get("/readyz").json() == {"status": "ready", "parts": {"database": True, "store": True}}


def test_the_reference_of_the_api_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`make docs` makes it current"
