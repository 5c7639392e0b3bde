"""Numbers and texts that no column, clock or file system has are refused, or mean nothing: never an error of ours."""

import json
from typing import Any

import pytest

from renderctl.core.actors import Role
from tests.farms import given_job, given_model
from tests.server.conftest import Served

BIG = "9" * 60

READS = [
    f"/models/shot@{BIG}",
    "/models/shot@\u00b2",
    f"/tasks/JOB-{BIG}/status",
    f"/jobs/JOB/tasks?after={BIG}",
    f"/jobs/JOB/attempts?task={BIG}",
    f"/jobs/JOB/logs?task={BIG}",
    f"/jobs/JOB/logs?task=JOB-{BIG}",
    f"/jobs/JOB/outputs?after={BIG}",
    f"/jobs/JOB/outputs/{BIG}/x.png",
    "/jobs?before=%ED%A0%80",
    "/jobs?state=x%00",
    "/models?search=%00",
    f"/audit?before={BIG}",
    "/audit?since=9999-12-31T23:59:59-14:00",
    "/audit?since=0001-01-01T00:00:00%2B14:00",
    f"/audit/verify?seen={BIG}:x",
    f"/webhooks/deliveries?limit={BIG}",
    "/quota?user=%00",
]
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "/jobs/JOB/priority", {"priority": 2**70}),
    ("POST", "/jobs", {"model": f"shot@{BIG}"}),
    ("POST", "/jobs", {"model": "shot", "frames": "1", "frame_timeout_s": 1e308}),
    ("POST", "/jobs", {"model": "shot", "frames": "1", "options": {"samples": 2**70}}),
    ("POST", "/jobs", {"model": "shot", "frames": "1", "options": {"resolution": [2**70, 1]}}),
    ("POST", "/jobs/JOB/retry", {"frames": f"1-{BIG}"}),
    ("POST", "/tokens", {"name": "x", "lasts_s": 1e300}),
    ("POST", "/users/invite", {"lasts_s": 1e300}),
    ("POST", "/users", {"name": "\0"}),
    ("POST", "/projects", {"name": "p\ud800"}),
    ("POST", "/jobs/remove", {"jobs": ["\0"]}),
    ("POST", "/webhooks", {"url": "https://[::1/", "project": "default"}),
    ("POST", "/webhooks", {"url": "https://1.1.1.1:99999/", "project": "default"}),
    ("POST", "/uploads/wanted", {"files": [{"path": "a", "digest": "0" * 64, "size": 2**53}]}),
    ("PUT", f"/uploads/{'0' * 64}?size={2**53}&offset={2**53}", None),
]


@pytest.mark.parametrize(
    ("method", "path", "body"), [*(("GET", path, None) for path in READS), *WRITES], ids=lambda part: str(part)[:40]
)
def test_what_is_out_of_range_is_no_error_of_the_servers(served: Served, method: str, path: str, body: Any) -> None:
    admin = served.person("ada", Role.ADMIN, "default")
    given_model(served.farm)
    address = "/api/v1" + path.replace("JOB", given_job(served.farm, "1").id)
    content = json.dumps(body).encode() if body is not None else None
    answer = served.client.request(method, address, content=content, headers=admin)
    assert answer.status_code < 500 or answer.json()["error"]["code"] == "store_full", answer.text
