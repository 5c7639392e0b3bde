"""What the server answers names no folder of its machine, whatever goes wrong."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.actors import Role
from renderctl.farm import Farm
from tests.fake_blender import FakeExecutor
from tests.farms import close, given_job, make_farm, work_off
from tests.server.conftest import Served, served

__all__ = ["served"]
API = "/api/v1"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    executor = FakeExecutor()
    farm = make_farm(tmp_path / "private" / "data", executor=executor)
    yield farm
    close(farm)


def said(served: Served, headers: dict[str, str], method: str, path: str, body: Any = None) -> str:
    answer = served.client.request(method, path, json=body, headers=headers | {"Accept": "text/html"})
    return f"{answer.status_code} {dict(answer.headers)} {answer.text}"


@pytest.mark.slow
def test_nothing_that_can_be_asked_names_a_folder_of_the_server(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN, "default")
    job = given_job(served.farm, "1-2").id
    work_off(served.farm)
    for path in (
        "/jobs", f"/jobs/{job}", f"/jobs/{job}/tasks", f"/jobs/{job}/attempts", f"/jobs/{job}/outputs",
        f"/jobs/{job}/logs", f"/tasks/{job}-1/status", "/workers?every=true", "/models", "/users", "/webhooks",
        "/audit?limit=1000", "/audit/verify", "/openapi.json",
    ):  # fmt: skip
        assert "private/data" not in said(served, ada, "GET", f"{API}{path}"), path
    for path in ("/readyz", "/metrics", "/", f"/jobs/{job}", f"/jobs/{job}/frames/1", "/workers", "/models", "/audit"):
        assert "private/data" not in said(served, ada, "GET", path), path


def _unreadable_store(data: Path) -> None:
    shutil.rmtree(data / "store")
    (data / "store").write_text("no folder")


def _lost_blobs(data: Path) -> None:
    for file in (data / "store").rglob("*"):
        if file.is_file():
            file.unlink()


def _damaged_blobs(data: Path) -> None:
    for file in (data / "store").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"damaged")


def _full_incoming(data: Path) -> None:
    shutil.rmtree(data / "incoming", ignore_errors=True)
    (data / "incoming").write_text("no folder")


@pytest.mark.slow
@pytest.mark.parametrize("break_it", [_unreadable_store, _lost_blobs, _damaged_blobs, _full_incoming])
def test_no_error_names_a_folder_of_the_server(served: Served, break_it: Callable[[Path], None]) -> None:
    ada = served.person("ada", Role.ADMIN, "default")
    job = given_job(served.farm, "1-2").id
    work_off(served.farm)
    break_it(served.farm.settings.data_dir)
    file = {"path": "shot.blend", "digest": "0" * 64, "size": 9}
    answers = [
        said(served, ada, method, path, body)
        for method, path, body in (
            ("GET", f"{API}/jobs/{job}/outputs/1/0001.png", None),
            ("GET", f"{API}/jobs/{job}/links", None),
            ("GET", f"{API}/jobs/{job}/logs", None),
            ("GET", f"{API}/jobs/{job}?cached=true", None),
            ("GET", f"/jobs/{job}/images/1/0001.png", None),
            ("GET", f"/jobs/{job}/frames/1", None),
            ("POST", f"{API}/uploads/wanted", {"files": [file]}),
            ("PUT", f"{API}/uploads/{'0' * 64}?size=9", "x" * 7),
            ("POST", f"{API}/uploads/{'0' * 64}/promote", {"size": 9}),
            ("POST", f"{API}/models/inspect", {"main": "shot.blend", "files": [file]}),
            ("POST", f"{API}/jobs", {"model": "shot", "frames": "1"}),
            ("POST", f"{API}/jobs/{job}/retry", {"frames": "1"}),
            ("GET", "/readyz", None),
        )
    ]
    assert [answer[:3] + answer[-900:] for answer in answers if "private/data" in answer] == []
