"""Browsers: log-ins, cookies, forgery; and how somebody becomes a user."""

from collections.abc import Callable

import pytest
from httpx2 import Response

from renderctl.core.actors import Role
from renderctl.farm.people.users import add_user
from tests.farms import ACTOR, given_job
from tests.server.conftest import Served

pytestmark = pytest.mark.slow  # argon2 takes its time
API = "/api/v1"
PASSWORD = "correct horse battery"


def logged_in(served: Served, name: str = "ada") -> dict[str, str]:
    """Log in; the header that a write takes."""
    answer = served.client.post(f"{API}/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


def test_a_browser_logs_in_reads_writes_with_its_header_and_logs_out(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    job = given_job(served.farm, "1").id
    csrf = logged_in(served)
    assert served.client.get(f"{API}/session").json() == {
        "name": "ada",
        "role": "admin",
        "projects": ["default"],
        "csrf": csrf["X-CSRF-Token"],
    }
    assert served.client.get(f"{API}/jobs/{job}").status_code == 200
    assert served.client.post(f"{API}/jobs/{job}/pause").status_code == 403
    assert served.client.post(f"{API}/jobs/{job}/pause", headers={"X-CSRF-Token": "guessed"}).status_code == 403
    assert served.client.post(f"{API}/jobs/{job}/pause", headers=csrf).json()["state"] == "paused"
    kept = "; ".join(f"{name}={value}" for name, value in served.client.cookies.items())
    assert served.client.delete(f"{API}/session", headers=csrf).status_code == 204
    assert served.client.get(f"{API}/session").status_code == 401
    assert served.client.get(f"{API}/session", headers={"Cookie": kept}).status_code == 401


def test_a_session_is_out_of_reach_of_scripts_and_of_other_sites(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    body = {"name": "ada", "password": PASSWORD}
    said = served.client.post(f"{API}/session", json=body).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(said.split("; "))
    assert "Secure" not in said
    said = served.client.post(f"https://farm.test{API}/session", json=body).headers["set-cookie"]
    assert "Secure" in said


def test_a_browser_is_known_again_by_a_cookie_that_lets_nobody_in(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    body = {"name": "ada", "password": PASSWORD}
    devices = []
    for _ in range(2):
        said = served.client.post(f"{API}/session", json=body).headers.get_list("set-cookie")
        (device,) = [cookie.split("; ") for cookie in said if "renderctl_device=" in cookie]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(device)
        devices.append(device[0])
    assert served.client.post("/login", data=body, follow_redirects=False).headers.get_list("set-cookie")
    assert devices[0] == devices[1]
    assert served.client.get(f"{API}/whoami", headers={"Cookie": devices[0]}).status_code == 401
    said = served.client.post(f"https://farm.test{API}/session", json=body).headers.get_list("set-cookie")
    assert any(cookie.startswith("__Host-renderctl_device=") and "Secure" in cookie for cookie in said)


def until_refused(guess: Callable[[int], Response]) -> list[Response]:
    """The answers to guesses up to one that came too early: on a busy machine the first waits are soon over."""
    answers = []
    for number in range(15):
        answers.append(guess(number))
        if answers[-1].status_code == 429:
            break
    return answers


def test_guessing_is_slowed_down(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    answers = until_refused(
        lambda n: served.client.post(f"{API}/session", json={"name": "ada", "password": f"guess number {n}"})
    )
    assert [each.status_code for each in answers[:5]] == [401] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_guessing_at_the_old_password_is_slowed_down_and_told(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    csrf = logged_in(served)
    body = {"password": "another password"}
    found = until_refused(
        lambda n: served.client.put(f"{API}/users/ada/password", json=body | {"old": f"guess {n}"}, headers=csrf)
    )
    assert [each.status_code for each in found[:5]] == [401] * 5
    assert (found[-1].status_code, found[-1].json()["error"]["code"]) == (429, "too_many_guesses")
    told = served.client.get(f"{API}/audit", params={"action": "user.password", "refused": True}).json()
    assert {(each["actor"], each["subject"], each["via"]) for each in told} == {("ada", "ada", "session")}


def test_a_browser_ends_the_log_ins_of_others_and_stays_itself(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    others = []
    for _ in range(3):
        logged_in(served)
        others.append({"Cookie": "; ".join(f"{name}={value}" for name, value in served.client.cookies.items())})
        served.client.cookies.clear()
    csrf = logged_in(served)
    served.client.get(f"{API}/session")
    served.client.app.state.parts.authentication.last_used.write()  # type: ignore[attr-defined]
    listed = served.client.get(f"{API}/sessions").json()
    assert [each["present"] for each in listed].count(True) == 1
    assert {(each["user"], each["address"]) for each in listed} == {("ada", "testclient")}
    present = next(each for each in listed if each["present"])
    assert (present["id"], present["seen_from"]) == (listed[0]["id"], "testclient")
    assert served.client.delete(f"{API}/sessions").status_code == 403, "it takes the header against forgery"
    first = listed[-1]["id"]
    assert served.client.delete(f"{API}/sessions/{first}", headers=csrf).json()["id"] == first
    assert served.client.delete(f"{API}/sessions/{first}", headers=csrf).status_code == 404
    assert len(served.client.delete(f"{API}/sessions", headers=csrf).json()) == 2
    assert [each["id"] for each in served.client.get(f"{API}/sessions").json()] == [present["id"]]
    served.client.cookies.clear()
    for other in others:
        assert served.client.get(f"{API}/session", headers=other).status_code == 401


def test_whoever_was_invited_registers_once_and_is_logged_in(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN)
    invited = served.client.post(f"{API}/users/invite", json={"role": "artist"}, headers=ada).json()
    body = {"code": invited["code"], "name": "bob", "password": PASSWORD}
    assert served.client.post(f"{API}/register", json=body).json()["role"] == "artist"
    assert served.client.get(f"{API}/session").json()["name"] == "bob"
    assert served.client.post(f"{API}/register", json=body | {"name": "eve"}).status_code == 403


def test_an_invitation_that_was_withdrawn_lets_nobody_in(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN)
    invited = served.client.post(f"{API}/users/invite", json={"role": "artist"}, headers=ada).json()
    assert served.client.get(f"{API}/invitations", headers=ada).json() == [invited["invitation"]]
    address = f"{API}/invitations/{invited['invitation']['id']}"
    assert served.client.delete(address, headers=ada).json()["withdrawn_at"] is not None
    assert served.client.get(f"{API}/invitations", headers=ada).json() == []
    body = {"code": invited["code"], "name": "bob", "password": PASSWORD}
    assert served.client.post(f"{API}/register", json=body).status_code == 403
    assert "bob" not in {each["name"] for each in served.client.get(f"{API}/users", headers=ada).json()}


def test_a_password_makes_a_token_that_revokes_itself(served: Served) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    body = {"user": "ada", "password": PASSWORD, "name": "laptop"}
    made = served.client.post(f"{API}/tokens/by-password", json=body)
    shown = {"Authorization": f"Bearer {made.json()['secret']}"}
    assert served.client.get(f"{API}/whoami", headers=shown).json()["name"] == "ada"
    assert served.client.delete(f"{API}/tokens/mine", headers=shown).status_code == 200
    assert served.client.get(f"{API}/whoami", headers=shown).status_code == 401


def test_whoever_is_disabled_is_out_at_once(served: Served) -> None:
    ada, bob = served.person("ada", Role.ADMIN), served.person("bob", Role.ARTIST, "default")
    assert served.client.get(f"{API}/whoami", headers=bob).status_code == 200
    assert served.client.post(f"{API}/users/bob/disable", headers=ada).status_code == 200
    assert served.client.get(f"{API}/whoami", headers=bob).status_code == 401


def test_who_did_what_is_told_to_admins(served: Served) -> None:
    ada, bob = served.person("ada", Role.ADMIN), served.person("bob", Role.ARTIST, "default")
    job = given_job(served.farm, "1").id
    assert served.client.post(f"{API}/jobs/{job}/cancel", headers=bob).status_code == 403
    (entry,) = served.client.get(f"{API}/audit", params={"by": "bob", "refused": True}, headers=ada).json()
    assert (entry["action"], entry["subject"], entry["outcome"]) == ("job.cancel", job, "refused")
    assert (entry["via"], entry["address"]) == ("token", "testclient")
    assert served.client.get(f"{API}/audit", headers=bob).status_code == 403
    assert served.client.get(f"{API}/audit/verify", headers=ada).json()["problems"] == []
