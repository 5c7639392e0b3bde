"""Somebody with a token sends more than anybody needs, heaps of nothings, and numbers that nothing can keep."""

import json
import time

import pytest

from renderctl.core.actors import Role
from tests.hostile.endless import ask, endless
from tests.server.conftest import Served, farm

__all__ = ["farm"]  # an embedded one will do

API = "/api/v1"
MEBIBYTE = 1 << 20
JSON = {"content-type": "application/json", "transfer-encoding": "chunked"}


def test_a_body_has_a_mebibyte_at_most(served: Served) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    answer = ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, endless(b'{"model":'))
    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.read <= MEBIBYTE + (128 << 10)


@pytest.mark.slow
def test_a_list_of_files_may_be_longer_but_not_for_a_viewer_of_nothing(served: Served) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    answer = ask(served.client.app, "POST", f"{API}/uploads/wanted", JSON | bob, endless(b'{"files":'))
    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.read <= 33 * MEBIBYTE
    files = [{"path": f"textures/{number}.exr", "digest": "0" * 64, "size": 1} for number in range(20_000)]
    body = json.dumps({"files": files, "project": "film"}).encode()
    assert len(body) > 2 * MEBIBYTE
    assert ask(served.client.app, "POST", f"{API}/uploads/wanted", JSON | bob, [body]).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": [' + b"{}," * 340_000 + b"{}]}",
        b'{"model": "m", "cameras": [' + b"[]," * 340_000 + b"[]]}",
        b'{"model": "m", "priority": ' + b"9" * 1_000_000 + b"}",
        b'{"model": "m", "frames": ' + b"[" * 60_000 + b"}",
    ],
)
def test_a_heap_of_nothings_holds_up_nobody(served: Served, body: bytes) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    before = time.thread_time()
    assert ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, [body]).status in (413, 422)
    assert time.thread_time() - before < 0.3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jobs", b'{"model": "m", "inputs": [' + b"1," * 60_000 + b"1]}"),
        ("jobs", b'{"model": "m"' + b"".join(b', "k%d": 1' % number for number in range(60_000)) + b"}"),
        ("jobs", b'{"model": "m"' + b"".join(b', "k%d": 1' % number for number in range(900)) + b"}"),
        ("uploads/wanted", b'{"files": [' + b"{}," * 99_999 + b"{}]}"),
        pytest.param(
            "models",
            b'{"name": "m", "main": "m", "inputs": [], "facts": {"scenes": [' + b"{}," * 99_999 + b"{}]}}",
            marks=pytest.mark.slow,
        ),
        ("models", b'{"name": "m", "main": "m", "inputs": [], "facts": {"dependencies": [' + b"1," * 99_999 + b"1]}}"),
    ],
)
def test_a_heap_of_mistakes_holds_up_nobody(served: Served, path: str, body: bytes) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    before = time.thread_time()  # of the loop
    answer = ask(served.client.app, "POST", f"{API}/{path}", JSON | bob, [body])
    assert answer.status in (413, 422)
    assert len(answer.body) < 2000
    assert time.thread_time() - before < 0.3


@pytest.mark.slow
def test_a_long_list_of_files_is_not_read_on_the_loop(served: Served) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    files = [{"path": f"textures/{number}.exr", "digest": "0" * 64, "size": 1} for number in range(30_000)]
    good = json.dumps({"files": files, "project": "film"}).encode()
    files[29_999]["size"] = -1
    bad = json.dumps({"files": files, "project": "film"}).encode()
    for body, status in ((good, 200), (bad, 422)):
        before = time.thread_time()
        answer = ask(served.client.app, "POST", f"{API}/uploads/wanted", JSON | bob, [body])
        assert answer.status == status
        assert time.thread_time() - before < 0.15
    assert b"body.files.29999.size" in answer.body
    assert b"greater than or equal to 0" in answer.body


@pytest.mark.parametrize("number", [2**63, 2**70, -(2**70), 10**400])
@pytest.mark.parametrize("field", ["priority", "max_slots", "max_attempts", "frame_timeout_s"])
def test_a_number_beyond_64_bits_is_refused(served: Served, field: str, number: int) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    body = f'{{"model": "m", "{field}": {number}}}'.encode()
    answer = ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, [body])
    assert (answer.status, answer.code) == (422, "invalid_input")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "0." + "1" * 5000])
def test_a_number_that_is_none_is_refused(served: Served, number: str) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    body = f'{{"model": "m", "frame_timeout_s": {number}}}'.encode()
    answer = ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, [body])
    assert (answer.status, answer.code) == (422, "invalid_input")


def test_half_a_character_is_refused(served: Served) -> None:
    bob = served.person("bob", Role.ARTIST, "film")
    body = b'{"model": "m", "name": "\\ud83d"}'
    assert ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, [body]).status == 422
    whole = b'{"model": "m", "name": "\\ud83d\\ude00"}'
    assert ask(served.client.app, "POST", f"{API}/jobs", JSON | bob, [whole]).status == 404  # there is no such model
