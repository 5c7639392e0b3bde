"""Whoever passes by sends bodies without end, heaps of nothings, and what is no JSON at all."""

import time

import pytest

from renderctl.core.actors import Role
from tests.hostile.endless import ask, endless
from tests.server.conftest import Served

API = "/api/v1"
STRANGER = 64 << 10
JSON = {"content-type": "application/json", "transfer-encoding": "chunked"}
FORM = {"content-type": "application/x-www-form-urlencoded", "transfer-encoding": "chunked"}
FILES = {"content-type": "multipart/form-data; boundary=b", "transfer-encoding": "chunked"}
#: Where nobody has to be known.
OPEN = (f"{API}/session", f"{API}/register", f"{API}/tokens/by-password")


@pytest.mark.parametrize("path", [f"{API}/jobs", f"{API}/models/inspect", f"{API}/uploads/wanted"])
def test_nothing_of_a_body_is_read_before_it_is_known_who_asks(served: Served, path: str) -> None:
    answer = ask(served.client.app, "POST", path, JSON, endless(b"["))
    assert (answer.status, answer.code, answer.read) == (401, "login_needed", 0)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", OPEN)
def test_where_nobody_has_to_be_known_little_is_read(served: Served, path: str) -> None:
    answer = ask(served.client.app, "POST", path, JSON, endless(b"["))
    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.read <= 2 * STRANGER


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("headers", [FORM, FILES])
def test_a_form_of_a_stranger_is_small(served: Served, path: str, headers: dict[str, str]) -> None:
    answer = ask(served.client.app, "POST", path, headers, endless(b"a&" * 1000))
    assert answer.status == 413
    assert answer.read <= 2 * STRANGER


@pytest.mark.parametrize("path", ["/submit", "/logout"])
def test_a_form_that_takes_a_log_in_is_not_read_without_one(served: Served, path: str) -> None:
    answer = ask(served.client.app, "POST", path, FORM, endless(b"a&"))
    assert (answer.status, answer.headers["location"], answer.read) == (303, "/login", 0)


@pytest.mark.parametrize("path", ["/static/page.css", "/nowhere", "/healthz", f"{API}/openapi.json", "/login"])
def test_a_body_that_no_route_wants_is_not_kept(served: Served, path: str) -> None:
    answer = ask(served.client.app, "GET", path, JSON, endless())
    assert answer.status in (200, 404)
    assert answer.read <= 2 * STRANGER


def test_a_length_that_is_too_much_is_refused_before_a_byte_is_read(served: Served) -> None:
    for length in (STRANGER + 1, 10**18, 10**30):
        headers = {"content-type": "application/json", "content-length": str(length)}
        answer = ask(served.client.app, "POST", f"{API}/session", headers, endless(b"["))
        assert (answer.status, answer.code) == (413, "too_large")
        assert answer.read <= 2 * STRANGER


def test_a_wrong_token_is_as_none(served: Served) -> None:
    wrong = {"authorization": "Bearer rctl_wrong"}
    answer = ask(served.client.app, "POST", f"{API}/jobs", JSON | wrong, endless(b"["))
    assert (answer.status, answer.read) == (401, 0)
    answer = ask(served.client.app, "PUT", f"{API}/uploads/{'0' * 64}?size=9000000000", wrong | JSON, endless())
    assert (answer.status, answer.read) == (401, 0)


def test_a_token_does_not_make_a_log_in_larger(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN)
    answer = ask(served.client.app, "POST", f"{API}/session", JSON | ada, endless(b"["))
    assert answer.status == 413
    assert answer.read <= 2 * STRANGER


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 60_000, 413),
        (b"[" * 4_000, 422),
        (b'{"name":' + b"9" * 60_000 + b"}", 422),
        (b'{"name": NaN}', 422),
        (b'{"name": 1e999}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"name": "a", "password": "b", "x": [' + b"{}," * 20_000 + b"{}]}", 413),
        (b"\xff\xfe{", 422),
        (b"", 422),
    ],
)
def test_what_is_no_sensible_json_is_refused_at_once(served: Served, body: bytes, status: int) -> None:
    before = time.thread_time()
    answer = ask(served.client.app, "POST", f"{API}/session", JSON, [body])
    assert answer.status == status, answer.body
    assert time.thread_time() - before < 0.3


def test_a_form_of_thousands_of_fields_costs_nothing(served: Served) -> None:
    before = time.thread_time()
    answer = ask(served.client.app, "POST", "/login", FORM, [b"a&" * 30_000])
    assert answer.status == 413
    assert time.thread_time() - before < 0.2


def test_an_address_of_thousands_of_fields_is_not_even_read(served: Served) -> None:
    before = time.thread_time()
    answer = ask(served.client.app, "GET", "/login?" + "a&" * 100_000, {}, [])
    assert (answer.status, answer.code) == (414, "too_large")
    assert time.thread_time() - before < 0.1
    assert ask(served.client.app, "GET", "/login?next=" + "a" * 1900, {}, []).status == 200
