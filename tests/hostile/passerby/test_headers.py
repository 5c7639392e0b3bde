"""What a browser or a cache keeps of an answer, and whom a browser can be made to send a session to."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.core.errors import BadSettings
from renderctl.core.settings import ServeSettings, Settings, load_settings
from renderctl.farm.doctor.machine import IN_THE_CLEAR, config_advice
from renderctl.farm.people.secrets import new_secret, token_digest
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.cli.conftest import Ctl
from tests.farms import ACTOR, given_job, work_off
from tests.server.conftest import Served
from tests.server.crowd import PASSWORD, given_people
from tests.server.live import listening

API = "/api/v1"
LOGIN = {"name": "ada", "password": PASSWORD}


@pytest.fixture
def tls(served: Served) -> Iterator[TestClient]:
    """A browser that has come by TLS."""
    given_people(served.farm)
    app = create_app(LocalCommands(served.farm.settings, ACTOR, served.farm))
    with TestClient(app, base_url="https://farm.test", follow_redirects=False) as client:
        yield client


def test_what_holds_secrets_is_kept_nowhere(client: TestClient) -> None:
    csrf = client.post(f"{API}/session", json=LOGIN).json()["csrf"]
    write = {"X-CSRF-Token": csrf}
    answers = [
        client.post(f"{API}/session", json=LOGIN),
        client.get(f"{API}/session"),
        client.post(f"{API}/tokens", json={"name": "ci"}, headers=write),
        client.post(f"{API}/users/invite", json={}, headers=write),
        client.get(f"{API}/sessions"),
        client.get(f"{API}/webhooks"),
        *(client.get(path) for path in ("/", "/login", "/register", "/account", "/users", "/nowhere")),
        client.get(f"{API}/jobs/nothing", headers={"Authorization": "Bearer rctl_wrong"}),
    ]
    assert [answer.headers.get("cache-control") for answer in answers] == ["no-store"] * len(answers)


def test_what_holds_none_may_be_kept(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1").id
    work_off(served.farm)
    client.post(f"{API}/session", json=LOGIN)
    assert client.get("/static/page.css").headers["cache-control"] == "no-cache"
    assert client.get(f"{API}/jobs/{job}/outputs/1/0001.png").headers["cache-control"] == "private, no-cache"


def test_behind_tls_a_browser_comes_back_by_tls_alone(served: Served, tls: TestClient) -> None:
    assert "strict-transport-security" not in served.client.get("/login").headers
    for path in ("/login", f"{API}/whoami", "/static/page.css", "/nowhere"):
        assert tls.get(path).headers["strict-transport-security"] == "max-age=63072000"


def test_behind_tls_no_other_host_can_set_the_cookie(tls: TestClient) -> None:
    cookie = tls.post("/login", data=LOGIN).headers["set-cookie"]
    assert cookie.startswith("__Host-renderctl_session=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=strict"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
    assert tls.get("/account").status_code == 200
    secret = cookie.partition("=")[2].partition(";")[0]
    tls.cookies.clear()
    planted = {"Cookie": f"renderctl_session={secret}"}  # as a page of another host, or one without TLS, could set it
    assert tls.get("/account", headers=planted).status_code == 303
    assert tls.get(f"{API}/whoami", headers=planted).status_code == 401


def test_logging_out_clears_that_cookie(tls: TestClient) -> None:
    csrf = tls.post(f"{API}/session", json=LOGIN).json()["csrf"]
    cookie = tls.delete(f"{API}/session", headers={"X-CSRF-Token": csrf}).headers["set-cookie"]
    assert cookie.startswith('__Host-renderctl_session=""')
    assert "Secure" in cookie  # without it browsers keep theirs
    assert tls.get(f"{API}/whoami").status_code == 401


@pytest.mark.slow
def test_only_a_proxy_that_is_believed_says_that_there_was_tls(served: Served) -> None:
    given_people(served.farm)
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    for proxies in (("127.0.0.1",), ()):
        settings = served.farm.settings
        farm = replace(served.farm, settings=replace(settings, serve=replace(settings.serve, proxies=proxies)))
        with listening(farm) as url:
            answer = httpx2.post(f"{url}/login", data=LOGIN, headers=said)
        assert ("strict-transport-security" in answer.headers) == bool(proxies)
        assert answer.headers["set-cookie"].startswith("__Host-") == bool(proxies)
        assert "server" not in answer.headers


def test_a_form_of_another_site_is_refused_whatever_it_claims(client: TestClient) -> None:
    csrf = client.post(f"{API}/session", json=LOGIN).json()["csrf"]
    for origin in ("http://evil.test", "null", "http://farm.test.evil.test", "http://farm.test@evil.test"):
        for path in ("/login", "/logout", "/submit"):
            answer = client.post(path, data=LOGIN | {"csrf": csrf}, headers={"Origin": origin})
            assert answer.status_code == 403, (origin, path)
    assert client.post("/logout", data={"csrf": "wrong"}).status_code == 403
    assert client.get(f"{API}/whoami").status_code == 200  # still logged in
    assert client.post("/logout", data={"csrf": csrf}, headers={"Origin": "http://farm.test"}).status_code == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("farm.example.org", 200), ("FARM.example.org:8650", 200), ("farm.example.org.", 200),
        ("[2001:db8::1]:80", 200),
        ("evil.test", 421), ("farm.example.org.evil.test", 421), ("127.0.0.1", 421), ("", 421), ("2001:db8::1", 200),
    ],
)  # fmt: skip
def test_it_answers_to_its_own_names_alone(served: Served, host: str, status: int) -> None:
    serve = replace(served.farm.settings.serve, hosts=("farm.example.org", "[2001:db8::1]"))
    settings = replace(served.farm.settings, serve=serve)
    client = TestClient(create_app(LocalCommands(settings, ACTOR, served.farm)))
    answer = client.get("/login", headers={"Host": host})
    assert answer.status_code == status
    if status == 421:
        assert host not in answer.text or not host
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("name", ["farm:80", "a b", "http://farm", "farm/"])
def test_a_name_that_nobody_can_ask_by_is_no_setting(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSettings, match=r"serve\.hosts"):
        load_settings(None, {"RENDERCTL_SERVE__HOSTS": f"[{name!r}]"}, default_data_dir=tmp_path)


@pytest.mark.parametrize(
    ("host", "proxies", "clear"),
    [
        ("127.0.0.1", (), False), ("::1", (), False), ("localhost", (), False), ("0.0.0.0", (), True),
        ("::", (), True), ("192.0.2.1", (), True), ("farm", (), True), ("0.0.0.0", ("10.0.0.2",), False),
    ],
)  # fmt: skip
def test_doctor_warns_of_a_server_in_the_clear(tmp_path: Path, host: str, proxies: Any, clear: bool) -> None:
    settings = Settings(tmp_path, serve=ServeSettings(host=host, proxies=proxies))
    assert (IN_THE_CLEAR in config_advice(settings)) == clear


@pytest.mark.slow
def test_serve_warns_before_it_listens_in_the_clear(ctl: Ctl) -> None:
    said = ctl("serve", "--host", "192.0.2.1", "--port", "0")  # no address of ours: nobody listens
    assert said.code == 8
    assert "Warning: `serve` speaks plain HTTP to other machines" in said.err.replace("\n", " ")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = ctl("serve", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1]))
    assert said.code == 8
    assert "plain HTTP" not in said.err


def test_a_page_that_takes_a_password_in_the_clear_says_so(served: Served) -> None:
    warning = "This connection is not encrypted"
    far, near = (TestClient(served.client.app, client=(host, 1)) for host in ("203.0.113.7", "127.0.0.1"))
    assert warning in far.get("/login").text
    assert warning in far.get("/register").text
    assert warning not in near.get("/login").text
    assert warning not in far.get("https://farm.test/login").text


def test_a_session_is_no_token_and_a_token_no_session(served: Served) -> None:
    """Also a moment after either was let in: a session that is shown as a token would pass without its CSRF header."""
    token = served.person("eve", Role.ARTIST, "default")["Authorization"].removeprefix("Bearer ")
    session = new_secret()
    served.farm.repository.sessions.open("eve", token_digest(session), "csrf", lasts_s=60.0, address="testclient")
    assert served.client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert served.client.get("/api/v1/whoami", headers={"Cookie": f"renderctl_session={session}"}).status_code == 200
    assert served.client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {session}"}).status_code == 401
    assert served.client.get("/api/v1/whoami", headers={"Cookie": f"renderctl_session={token}"}).status_code == 401
