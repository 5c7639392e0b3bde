"""How the tests read pages and write as they do."""

import re

from fastapi.testclient import TestClient

from renderctl.farm.people.secrets import new_secret, token_digest
from renderctl.farm.people.sessions import SESSION_S
from renderctl.server.authentication import COOKIE
from tests.server.crowd import PASSWORD


def log_in(client: TestClient, name: str) -> None:
    """Give the browser a session that is like any other, without the wait that argon2 makes of every password."""
    secret, repository = new_secret(), client.app.state.commands.farm.repository  # type: ignore[attr-defined]
    repository.sessions.open(name, token_digest(secret), new_secret(), lasts_s=SESSION_S, address="testclient")
    client.cookies.set(COOKIE, secret, domain=client.base_url.host, path="/")


def log_in_by_password(client: TestClient, name: str) -> None:
    """Log in by the form."""
    answer = client.post("/login", data={"name": name, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def deeds(text: str) -> set[str]:
    """What a page offers to do."""
    return set(re.findall(r'data-action="([^"]+)"', text))


def links(text: str) -> set[str]:
    return set(re.findall(r'href="([^"#]+)', text))


def rows(text: str) -> int:
    return text.count('<th scope="row">')


def write(client: TestClient, method: str, address: str, body: object = None, *, shown: str | None = None) -> int:
    """Write as a page does; the status of the answer."""
    headers = {"X-CSRF-Token": csrf(client) if shown is None else shown}
    return client.request(method, f"/api/v1{address}", json=body, headers=headers).status_code
