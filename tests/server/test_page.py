"""The page without a browser: what is shown to whom, and what is refused."""

import re

import pytest
from fastapi.testclient import TestClient

from renderctl.server.doors import COOKIE
from tests.farms import given_job
from tests.server.conftest import Served
from tests.server.crowd import PASSWORD, given_people


@pytest.fixture
def client(served: Served) -> TestClient:
    """A browser's, with cookies, that does not follow."""
    given_people(served.farm)
    served.client.follow_redirects = False
    return served.client


def log_in(client: TestClient, name: str) -> None:
    answer = client.post("/login", data={"name": name, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def test_who_is_not_logged_in_is_sent_to_the_login_and_then_where_he_wanted(client: TestClient) -> None:
    answer = client.get("/?state=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/%3Fstate%3Dfailed")
    said = {"name": "ada", "password": PASSWORD, "next": "/?state=failed"}
    assert client.post("/login", data=said).headers["location"] == "/?state=failed"


def test_a_wrong_password_is_said_on_the_page_and_lets_nobody_in(client: TestClient) -> None:
    answer = client.post("/login", data={"name": "ada", "password": "wrong"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert COOKIE not in answer.cookies


@pytest.mark.parametrize("place", ["//evil.test", "https://evil.test", "/\\evil.test"])
def test_a_login_leads_to_no_other_site(client: TestClient, place: str) -> None:
    answer = client.post("/login", data={"name": "ada", "password": PASSWORD, "next": place})
    assert answer.headers["location"] == "/"


def test_a_form_of_another_site_is_refused(client: TestClient) -> None:
    said, elsewhere = {"name": "ada", "password": PASSWORD}, {"Origin": "http://evil.test"}
    assert client.post("/login", data=said, headers=elsewhere).status_code == 403


def test_only_a_page_of_the_session_logs_out(client: TestClient) -> None:
    log_in(client, "ada")
    assert client.post("/logout", data={"csrf": "guessed"}).status_code == 403
    assert client.post("/logout", data={"csrf": csrf(client)}).headers["location"] == "/login"
    assert client.get("/").status_code == 303


def test_no_page_lets_a_script_or_a_style_of_its_own_run(client: TestClient) -> None:
    log_in(client, "ada")
    answer = client.get("/")
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)


def test_a_name_is_text_wherever_it_stands(client: TestClient, served: Served) -> None:
    given_job(served.farm, name='<script>alert(1)</script>" onload="x')
    log_in(client, "ada")
    text = client.get("/").text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_jobs_are_found_by_name_state_and_owner(client: TestClient, served: Served) -> None:
    given_job(served.farm, name="dragon")
    given_job(served.farm, name="100% knight")
    log_in(client, "ada")
    assert "dragon" in client.get("/?q=DRAG").text
    assert "dragon" not in client.get("/?q=100%25").text
    assert "dragon" not in client.get("/?state=failed").text
    assert "dragon" in client.get("/?state=queued,running,paused&owner=ada").text
    assert client.get("/?state=nonsense").status_code == 422


def test_jobs_come_in_pages_with_older_ones_behind(client: TestClient, served: Served) -> None:
    for number in range(51):
        given_job(served.farm, "1", name=f"shot{number}")
    log_in(client, "ada")
    found = re.search(r'rel="next" href="([^"]+)"', client.get("/").text)
    assert found
    older = client.get(found[1].replace("&amp;", "&")).text
    assert "shot0<" in older
    assert "shot1<" not in older
