"""The page without a browser: what is shown to whom, and what is refused."""

import re

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.server.authentication import COOKIE
from tests.farms import given_job, work_off
from tests.server.conftest import Served
from tests.server.crowd import PASSWORD
from tests.server.pages import csrf, log_in, log_in_by_password


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
    log_in_by_password(client, "ada")
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


def test_a_job_offers_what_the_viewer_may_do_and_nothing_else(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1-3")
    log_in(client, "vic")
    assert "data-action" not in client.get(f"/jobs/{job.id}").text
    log_in(client, "ada")
    text = client.get(f"/jobs/{job.id}").text
    assert f'data-action="POST /api/v1/jobs/{job.id}/cancel"' in text
    assert "/retry" not in text


@pytest.mark.parametrize(("query", "selected"), [("", []), ("?state=queued", ["queued"])])
def test_the_list_of_frames_shows_which_state_it_is_filtered_by(
    client: TestClient, served: Served, query: str, selected: list[str]
) -> None:
    job = given_job(served.farm, "1-3")
    log_in(client, "ada")
    assert re.findall(r'<option value="(\w+)" selected>', client.get(f"/jobs/{job.id}{query}").text) == selected


def test_a_glance_tells_every_frame_and_what_it_took(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "5-6", cameras=("Camera", "Side"))
    work_off(served.farm)
    log_in(client, "ada")
    told = client.get(f"/jobs/{job.id}/frames.json").json()
    assert told["frames"] == [5, 5, 6, 6]
    assert told["cameras"] == ["Camera", "Side"]
    assert told["states"] == "ssss"
    assert all(took is not None for took in told["seconds"])
    rest = client.get(f"/jobs/{job.id}/frames.json?after=2").json()
    assert rest["seconds"] == told["seconds"][2:]


def test_a_frame_shows_its_image_its_attempts_and_its_log(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1-2")
    work_off(served.farm)
    log_in(client, "ada")
    text = client.get(f"/jobs/{job.id}/frames/2").text
    found = re.search(r'src="(/jobs/[^"]+)"', text)
    assert found
    image = client.get(found[1].replace("&amp;", "&"))
    assert (image.headers["content-type"], image.content[:4]) == ("image/webp", b"RIFF")
    assert "w1" in text
    assert re.search(r'id="log"[^>]*>\$ ', text)
    assert client.get(f"/jobs/{job.id}/frames/3").status_code == 404


def test_who_may_not_see_a_job_finds_no_page_of_it(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1")
    eve = served.person("eve", Role.ARTIST, "games")
    for place in ("", "/frames.json", "/frames/1", "/images/1/0001.png"):
        answer = client.get(f"/jobs/{job.id}{place}", headers=eve)
        assert answer.status_code == 404, place
        assert job.name not in answer.text


@pytest.mark.slow
def test_every_address_that_a_page_links_to_is_there(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1-2")
    work_off(served.farm)
    log_in(client, "ada")
    for page in ("/", f"/jobs/{job.id}", f"/jobs/{job.id}/frames/1"):
        found = re.findall(r'(?:href|src)="(/[^"#]*)', client.get(page).text)
        assert len(found) > 5
        for place in set(found):
            assert client.get(place.replace("&amp;", "&")).status_code == 200, place


def test_a_browser_gets_a_page_at_an_address_that_there_is_not_and_a_program_a_document(client: TestClient) -> None:
    log_in(client, "ada")
    wanted = {"Accept": "text/html,*/*"}
    page = client.get("/jobs", headers=wanted)
    assert (page.status_code, "There is no such address." in page.text, "<nav" in page.text) == (404, True, True)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for place, headers in (("/jobs", {}), ("/api/v1/nowhere", wanted)):
        assert client.get(place, headers=headers).json()["error"]["code"] == "not_found"
