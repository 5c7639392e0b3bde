"""Headers that every answer of the server has, whoever asks for what."""

import pytest
from fastapi.testclient import TestClient

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PATHS = ["/", "/login", "/jobs", "/nowhere", "/static/page.css", "/healthz", "/api/v1/jobs", "/api/v1/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_every_answer_tells_browsers_what_not_to_make_of_it(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    assert {name: headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert "content-security-policy" in headers or not headers["content-type"].startswith("text/html")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
