"""How the tests read pages and write as they do."""

import re

from fastapi.testclient import TestClient

from tests.server.crowd import PASSWORD


def log_in(client: TestClient, name: str) -> None:
    answer = client.post("/login", data={"name": name, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def deeds(text: str) -> set[str]:
    """What a page offers to do."""
    return set(re.findall(r'data-do="([^"]+)"', text))


def links(text: str) -> set[str]:
    return set(re.findall(r'href="([^"#]+)', text))


def rows(text: str) -> int:
    return text.count('<th scope="row">')


def write(client: TestClient, method: str, address: str, body: object = None, *, shown: str | None = None) -> int:
    """Write as a page does; the status of the answer."""
    headers = {"X-CSRF-Token": csrf(client) if shown is None else shown}
    return client.request(method, f"/api/v1{address}", json=body, headers=headers).status_code
