"""The pages of workers, users, projects, accounts and the audit log: what is shown and offered to whom."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role, Scope
from renderctl.core.people import Token
from renderctl.core.workers import Capabilities
from tests.fake_blender import FakeExecutor, held
from tests.farms import ACTOR, at_work, given_job, given_worker, wait_for
from tests.server.conftest import Served
from tests.server.crowd import PASSWORD
from tests.server.pages import csrf, deeds, links, log_in, log_in_by_password, rows, write

HOSTILE = '<script>alert(1)</script>" onload="x'
LOCAL = ("/workers", "/users", "/users/vic", "/projects", "/account", "/audit", "/audit/verify")


@pytest.mark.parametrize(
    ("name", "shown", "not_shown"),
    [
        ("ada", {"/workers", "/users", "/audit", "/account"}, set()),
        ("vic", {"/workers", "/account"}, {"/users", "/audit"}),
        ("art", {"/workers", "/account"}, {"/users", "/audit"}),
    ],
)
def test_a_page_leads_only_where_its_visitor_may_go(
    client: TestClient, name: str, shown: set[str], not_shown: set[str]
) -> None:
    log_in(client, name)
    found = links(client.get("/").text)
    assert shown <= found
    assert not found & not_shown


@pytest.mark.parametrize("page", LOCAL)
def test_who_is_not_logged_in_sees_none_of_it(client: TestClient, page: str) -> None:
    answer = client.get(page)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={page}")


@pytest.mark.parametrize("page", LOCAL)
def test_no_page_has_a_script_or_a_style_in_it(client: TestClient, served: Served, page: str) -> None:
    given_worker(served.farm)
    log_in(client, "ada")
    answer = client.get(page)
    assert answer.status_code == 200
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)


def test_a_worker_says_what_it_offers_and_why_it_takes_no_work(client: TestClient, served: Served) -> None:
    offered = Capabilities(16, 64_000, ("4.5.3", "5.0.1"), ("OPTIX: NVIDIA L4",), ("big",))
    given_worker(served.farm, "node-1", ("default", "gpu"), offered=offered, slots=2)
    served.farm.repository.workers.drain("node-1", actor=ACTOR)
    log_in(client, "ada")
    for page in ("/workers", "/workers/node-1"):
        text = client.get(page).text
        for said in (
            "draining",
            "asked for by ada",
            "default, gpu",
            "OPTIX: NVIDIA L4",
            "4.5.3, 5.0.1",
            "16 cores",
            "big",
        ):
            assert said in text, f"{page}: {said}"
    assert "takes no more until it is resumed" in client.get("/workers/node-1").text
    assert client.get("/workers/node-2").status_code == 404


def test_only_who_steers_workers_is_offered_to_and_can(client: TestClient, served: Served) -> None:
    given_worker(served.farm)
    for name in ("vic", "art"):
        log_in(client, name)
        for page in ("/workers", "/workers/w1"):
            assert not deeds(client.get(page).text)
        assert write(client, "POST", "/workers/w1/drain") == 403
    log_in(client, "ada")
    assert deeds(client.get("/workers").text) == {"POST /api/v1/workers/w1/drain"}
    assert write(client, "POST", "/workers/w1/drain", shown="guessed") == 403
    assert write(client, "POST", "/workers/w1/drain") == 200
    assert deeds(client.get("/workers/w1").text) == {"POST /api/v1/workers/w1/resume"}


def test_a_worker_leads_to_the_frame_that_it_renders_whoever_may_see_it(client: TestClient, served: Served) -> None:
    executor = served.farm.executor
    assert isinstance(executor, FakeExecutor)
    executor.behaviours[7] = held
    job = given_job(served.farm, "7", name="dragon")
    eve = served.person("eve", Role.ARTIST, "games")
    log_in(client, "vic")
    with at_work(served.farm):
        wait_for(served.farm, lambda: any(each.tasks for each in served.farm.repository.workers.all()))
        wait_for(served.farm, lambda: "frame 7" in client.get("/workers").text)
        text, hers = client.get("/workers").text, client.get("/workers", headers=eve).text
        executor.gate.set()
    assert f"/jobs/{job.id}/frames/1" in links(text)
    assert "dragon" in text
    assert "dragon" not in hers
    assert job.id not in hers
    assert "a frame of another project" in hers


def test_workers_are_found_by_name_tag_state_and_pool(client: TestClient, served: Served) -> None:
    given_worker(served.farm, "north", ("default",), offered=Capabilities(1, 1, ("5.0.1",), (), ("fast",)))
    given_worker(served.farm, "south", ("gpu",))
    log_in(client, "vic")
    asked = {"q=NOR": "north", "q=fast": "north", "pool=gpu": "south", "state=active&q=sou": "south"}
    for query, name in asked.items():
        text = client.get(f"/workers?{query}").text
        assert rows(text) == 1, query
        assert f"/workers/{name}" in links(text), query
    assert "No workers match" in client.get("/workers?state=quarantined").text


@pytest.mark.slow
def test_many_workers_come_in_pages(client: TestClient, served: Served) -> None:
    for number in range(101):
        given_worker(served.farm, f"w{number:03d}")
    log_in(client, "vic")
    first = client.get("/workers?pool=default").text
    assert rows(first) == 100
    assert "/workers?pool=default&amp;page=2" in links(first)
    assert "101 active" in first
    assert rows(client.get("/workers?page=2").text) == 1
    assert rows(client.get("/workers?page=900").text) == 0


def test_an_admin_is_offered_what_makes_a_user_something_else(client: TestClient, served: Served) -> None:
    served.farm.repository.projects.add("film", (), actor=ACTOR)
    log_in(client, "ada")
    assert deeds(client.get("/users").text) == {"POST /api/v1/users/invite", "POST /api/v1/users"}
    assert deeds(client.get("/users/vic").text) == {
        "POST /api/v1/users/vic/disable",
        "PUT /api/v1/users/vic/role",
        "PUT /api/v1/users/vic/password",
        "POST /api/v1/projects/default/leave",
        "POST /api/v1/projects/film/join",
    }
    assert write(client, "POST", "/users/vic/disable") == 200
    assert "POST /api/v1/users/vic/enable" in deeds(client.get("/users/vic").text)
    assert rows(client.get("/users?state=disabled").text) == 1


def test_open_invitations_stand_on_the_page_of_users_without_their_codes(client: TestClient, served: Served) -> None:
    log_in(client, "ada")
    assert "There are no open invitations" in client.get("/users").text
    body = {"role": "viewer", "projects": ["default"]}
    told = client.post("/api/v1/users/invite", json=body, headers={"X-CSRF-Token": csrf(client)}).json()
    text = client.get("/users").text
    withdraw = f"DELETE /api/v1/invitations/{told['invitation']['id']}"
    assert withdraw in deeds(text)
    assert told["code"] not in text
    reads = served.person("rea", Role.ADMIN, "default", scope=Scope.READ)
    shown = client.get("/users", headers=reads).text
    assert told["invitation"]["id"] in shown
    assert not deeds(shown)
    assert write(client, "DELETE", withdraw.removeprefix("DELETE /api/v1")) == 200
    assert "There are no open invitations" in client.get("/users").text
    log_in(client, "vic")
    assert "invitations" not in client.get("/users").text


def test_who_is_no_admin_sees_his_mates_and_changes_nobody(client: TestClient, served: Served) -> None:
    served.person("eve", Role.ARTIST, "games")
    log_in(client, "vic")
    text = client.get("/users").text
    assert "/users/ada" in links(text)
    assert "eve" not in text
    assert "games" not in client.get("/projects").text
    assert client.get("/users/eve").status_code == 404
    for page in ("/users", "/users/ada", "/projects"):
        assert not deeds(client.get(page).text), page
    refused: list[tuple[str, str, Any]] = [
        ("POST", "/users/ada/disable", None),
        ("PUT", "/users/vic/role", {"role": "admin"}),
        ("PUT", "/users/ada/password", {"password": "a new password"}),
        ("POST", "/users/invite", {}),
        ("GET", "/invitations", None),
        ("POST", "/projects/default/leave", {"users": ["ada"]}),
        ("PUT", "/projects/default/pools", {"pools": []}),
    ]
    for method, address, body in refused:
        assert write(client, method, address, body) == 403, address


def test_an_operator_may_see_the_users_and_changes_none(client: TestClient, served: Served) -> None:
    oli = served.person("oli", Role.OPERATOR, "default")
    assert "/users" in links(client.get("/", headers=oli).text)
    assert not deeds(client.get("/users/vic", headers=oli).text)
    assert "POST /api/v1/users" not in deeds(client.get("/users", headers=oli).text)
    assert client.get("/audit", headers=oli).status_code == 403


@pytest.mark.slow
def test_ten_thousand_users_come_in_pages(client: TestClient, served: Served) -> None:
    given_many_users(served, 10_000)
    log_in(client, "ada")
    first = client.get("/users?role=viewer").text
    assert rows(first) == 50
    assert "1 to 50 of 10001" in first
    assert rows(client.get("/users?q=u09999").text) == 1
    text = client.get("/projects").text
    assert len(text) < 20_000
    assert "10003" in text


def given_many_users(served: Served, count: int) -> None:
    """Viewers of the project `default`, written at once."""
    from renderctl.repository.schema.people import members, users

    def writing(connection: object) -> None:
        now, names = served.farm.clock.now(), [f"u{number:05d}" for number in range(count)]
        common = {"role": "viewer", "created_at": now}
        connection.execute(users.insert(), [{"name": name, **common} for name in names])  # type: ignore[attr-defined]
        joined = [{"project": "default", "user": name} for name in names]
        connection.execute(members.insert(), joined)  # type: ignore[attr-defined]

    served.farm.repository.database.write(writing)


def test_projects_show_their_members_and_pools(client: TestClient, served: Served) -> None:
    served.farm.repository.projects.add("film", ("gpu", "night"), actor=ACTOR)
    served.farm.repository.projects.add_members("film", ["vic"], actor=ACTOR)
    log_in(client, "ada")
    text = client.get("/projects").text
    assert 'value="gpu, night"' in text
    assert {"POST /api/v1/projects", "POST /api/v1/projects/film/join", "PUT /api/v1/projects/film/pools"} <= deeds(
        text
    )
    assert rows(client.get("/users?project=film").text) == 1
    log_in(client, "vic")
    assert "gpu, night" in client.get("/projects").text


def test_everybody_has_an_account_with_his_own_tokens_alone(client: TestClient, served: Served) -> None:
    served.token("ada")
    gone = served.token("vic")
    served.revoke(gone)
    served.token("vic")
    mine = next(iter(served.tokens[each] for each in served.tokens if each.endswith("vic") and each not in str(gone)))
    log_in(client, "vic")
    text = client.get("/account").text
    assert {each for each in deeds(text) if each.startswith("DELETE")} == {f"DELETE /api/v1/tokens/{mine}"}
    assert {"POST /api/v1/tokens", "PUT /api/v1/users/vic/password"} <= deeds(text)
    assert rows(text) == 2, "the token, and the session that asks"


def test_an_account_shows_from_where_one_is_logged_in_and_ends_what_is_elsewhere(
    client: TestClient, served: Served
) -> None:
    log_in(client, "art")
    for _ in range(3):
        client.cookies.clear()
        log_in(client, "vic")
    present, *others = [each.id for each in served.farm.repository.sessions.all(user="vic")]
    text = client.get("/account").text
    ends = {each for each in deeds(text) if "/sessions" in each}
    assert ends == {*(f"DELETE /api/v1/sessions/{each}" for each in others), "DELETE /api/v1/sessions?user=vic"}
    assert (text.count(">this one<"), present in text, "End all others" in text) == (1, True, True)
    assert write(client, "DELETE", f"/sessions/{others[0]}") == 200
    assert {each for each in deeds(client.get("/account").text) if "/sessions" in each} == {
        f"DELETE /api/v1/sessions/{others[1]}"
    }
    log_in(client, "ada")
    assert f"DELETE /api/v1/sessions/{present}" in deeds(client.get("/users/vic").text)
    assert write(client, "DELETE", "/sessions?user=vic") == 200
    assert "No browser is logged in" in client.get("/users/vic").text
    assert {each.user for each in served.farm.repository.sessions.all()} == {"ada", "art"}


def test_a_token_is_told_once_and_never_stands_on_a_page(client: TestClient) -> None:
    log_in(client, "vic")
    body = {"name": "ci", "scope": "read", "lasts_s": 604_800}
    told = client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": csrf(client)}).json()
    text = client.get("/account").text
    assert told["token"]["id"] in text
    assert told["secret"] not in text


def test_a_token_of_little_scope_is_not_offered_what_it_may_not(client: TestClient, served: Served) -> None:
    reads = served.person("rea", Role.ADMIN, "default", scope=Scope.READ)
    text = client.get("/account", headers=reads).text
    assert "with a token of scope read" in text
    assert not {each for each in deeds(text) if not each.startswith("DELETE")}
    given_worker(served.farm)
    assert not deeds(client.get("/workers", headers=reads).text)


def test_a_new_password_ends_every_session(client: TestClient) -> None:
    log_in_by_password(client, "vic")
    told = {"old": PASSWORD, "password": "another password"}
    assert write(client, "PUT", "/users/vic/password", told | {"old": "wrong"}) == 401
    assert write(client, "PUT", "/users/vic/password", told) == 200
    assert client.get("/account").status_code == 303


def test_names_are_text_on_every_page(client: TestClient, served: Served) -> None:
    offered = Capabilities(1, 1, ("5.0.1",), (f"GPU: {HOSTILE}",), (HOSTILE,))
    given_worker(served.farm, HOSTILE, (HOSTILE,), offered=offered)
    served.farm.repository.workers.drain(HOSTILE, actor=ACTOR)
    token = Token("t1", "ada", HOSTILE[:64], Scope.READ, served.farm.clock.now(), None)
    served.farm.repository.tokens.add(token, "d" * 64, lasts_s=None, actor=ACTOR)
    client.post("/login", data={"name": HOSTILE, "password": HOSTILE})
    log_in(client, "ada")
    worker = next(each for each in links(client.get("/workers").text) if each.startswith("/workers/"))
    pages: Iterable[str] = ("/workers", worker, "/account", "/users/ada", "/audit", f"/audit?by={HOSTILE}")
    for page in pages:
        text = client.get(page).text
        assert "<script>alert" not in text, page
        assert '" onload=' not in text, page
        assert "&lt;script&gt;" in text, page
    (deed,) = deeds(client.get(worker).text)
    assert write(client, "POST", deed.removeprefix("POST /api/v1")) == 200


@pytest.mark.slow
def test_every_address_of_these_pages_is_there(client: TestClient, served: Served) -> None:
    given_worker(served.farm)
    served.farm.repository.workers.drain("w1", actor=ACTOR)
    log_in(client, "ada")
    for page in (*LOCAL, "/workers/w1"):
        for place in links(client.get(page).text):
            assert client.get(place.replace("&amp;", "&")).status_code == 200, f"{page}: {place}"
