"""Values at the edge of what there is, wherever an address or a body takes one: an answer in sense, never a 500."""

import sqlite3
from itertools import product

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from renderctl.core.actors import Role
from renderctl.server.errors import add_error_handlers
from tests.farms import given_job, work_off
from tests.hostile.endless import ask
from tests.server.conftest import Served, farm

__all__ = ["farm"]  # an embedded one will do
API = "/api/v1"
NUMBERS = (
    "-1", "0", "1", str(2**31), str(2**53), str(2**63 - 1), str(2**63), str(-(2**63)), str(2**70), "9" * 400,
    "9" * 5000,
    "1e3", "1e308", "1e999", "nan", "inf", "-inf", "1.5", "0x10", "1_000", "+1", " 1", "١", "", "true", "None", "%00",
)  # fmt: skip
TIMES = (
    "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "9999-12-31", "1e18", "-1e18", "nan",
    "99999-01-01", "2026-02-30", "", "%00", "253402300800",
)  # fmt: skip
TEXTS = ("%00", "%FF%FE", "%ED%A0%80", "a" * 255, "%F0%9F%98%80", "%0A", "' OR 1=1 --", "%25", "%5C", "{}", "[]")
QUERIES = {
    "{API}/jobs?limit={n}": NUMBERS,
    "{API}/jobs?before={n}": (*NUMBERS, *TEXTS),
    "{API}/jobs?state={n}": TEXTS,
    "{API}/jobs?owner={n}": TEXTS,
    "{API}/jobs/removable?older_than_s={n}": NUMBERS,
    "{API}/jobs/{job}/tasks?after={n}": NUMBERS,
    "{API}/jobs/{job}/tasks?limit={n}": NUMBERS,
    "{API}/jobs/{job}/attempts?task={n}": (*NUMBERS, *TEXTS),
    "{API}/jobs/{job}/attempts?after={n}": (*NUMBERS, *TEXTS),
    "{API}/jobs/{job}/logs?task={n}": (*NUMBERS, *TEXTS),
    "{API}/jobs/{job}/outputs?after={n}": NUMBERS,
    "{API}/jobs/{job}/outputs/{n}/0001.png": NUMBERS,
    "{API}/jobs/{job}/outputs/1/{n}": TEXTS,
    "{API}/jobs/{n}": (*NUMBERS, *TEXTS),
    "{API}/tasks/{n}/status": (*NUMBERS, *TEXTS),
    "{API}/tasks/{job}-{n}/status": NUMBERS,
    "{API}/models/{n}": (*NUMBERS, *TEXTS),
    "{API}/models/shot@{n}": NUMBERS,
    "{API}/uploads/{n}": (*NUMBERS, *TEXTS),
    "{API}/audit?after={n}": NUMBERS,
    "{API}/audit?limit={n}": NUMBERS,
    "{API}/audit?since={n}": TIMES,
    "{API}/audit?until={n}": TIMES,
    "{API}/audit?by={n}": TEXTS,
    "{API}/audit/verify?seen={n}": (*NUMBERS, *TEXTS, "1:a", "9" * 90 + ":a", "-1:", ":"),
    "{API}/webhooks/deliveries?before={n}": (*NUMBERS, *TEXTS),
    "/jobs/{job}?after={n}": NUMBERS,
    "/jobs/{job}?grid_after={n}": NUMBERS,
    "/jobs/{job}/frames/{n}": NUMBERS,
    "/jobs/{job}/images/1/0001.png?side={n}": NUMBERS,
    "/users?page={n}": NUMBERS,
    "/models?before={n}": (*NUMBERS, *TEXTS),
    "/audit?before={n}": NUMBERS,
    "/audit?since={n}": TIMES,
}


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_no_address_makes_the_server_fail(served: Served, query: str) -> None:
    ada = served.person("ada", Role.ADMIN, "default")
    job = given_job(served.farm, "1").id
    work_off(served.farm)
    failed = []
    for value in QUERIES[query]:
        path = query.replace("{API}", API).replace("{job}", job).replace("{n}", value)
        answer = served.client.get(path, headers=ada, follow_redirects=False)
        if answer.status_code >= 500:
            failed.append((value[:40], answer.status_code, answer.text[:200]))
    assert failed == []


BODIES = {
    ("POST", "/jobs"): (
        "priority", "max_slots", "max_attempts", "frame_timeout_s", "frames", "name", "pool", "cameras", "after",
        "requires", "options", "inputs", "model", "animation",
    ),
    ("PUT", "/jobs/{job}/priority"): ("priority",),
    ("POST", "/jobs/{job}/retry"): ("frames",),
    ("POST", "/tokens"): ("lasts_s", "name", "scope", "user"),
    ("POST", "/users/invite"): ("lasts_s", "role", "projects"),
    ("POST", "/uploads/wanted"): ("files", "project", "verify"),
    ("POST", f"/uploads/{'0' * 64}/promote"): ("size",),
    ("POST", "/models"): ("facts", "main", "inputs", "name"),
    ("POST", "/webhooks"): ("url", "events", "project"),
    ("POST", "/projects"): ("name", "pools"),
}  # fmt: skip
WELL = {
    "/jobs": '"model": "shot"', "/tokens": '"name": "t"', "/models": '"name": "m", "main": "a.blend", "inputs": []',
    "/projects": '"name": "p"', "/webhooks": '"url": "https://93.184.215.14/"', "/uploads/wanted": '"files": []',
}  # fmt: skip
VALUES = (
    "null", "true", "-1", "0", "1", "1.5", "1e308", "-1e308", "5e-324", "2147483648", "9007199254740993",
    "9223372036854775807", "-9223372036854775808", "1180591620717411303424", '""', '"a\\u0000b"', '"\\ud83d\\ude00"',
    '"1-9223372036854775807"', '"99999999999999999999"', '"1-2x0"', '"-5--1"', "[]", "{}", "[[]]", '[{"path": ""}]',
    '{"samples": 9223372036854775807}', '{"resolution": [1e300, 1]}', '{"percentage": -1}',
    '{"frame_end": 9223372036854775807}', '["a", "a"]', '["\\u0000"]', '"https://[::1"', '"http://a:99999999999/"',
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_no_body_makes_the_server_fail(served: Served, method: str, path: str) -> None:
    ada = served.person("ada", Role.ADMIN, "default")
    job = given_job(served.farm, "1").id
    headers = ada | {"content-type": "application/json", "transfer-encoding": "chunked"}
    failed = []
    for field, value in product(BODIES[method, path], VALUES):
        rest = "".join(f", {part}" for part in WELL.get(path, "").split(", ") if part and f'"{field}"' not in part)
        body = f'{{"{field}": {value}{rest}}}'.encode()
        answer = ask(served.client.app, method, f"{API}{path}".replace("{job}", job), headers, [body])
        if answer.status >= 500:
            failed.append((field, value, answer.status, answer.body[:200]))
    assert failed == []


def test_a_number_that_nothing_can_keep_is_no_failure_of_the_server() -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/number")
    def number(digits: str) -> str:
        with sqlite3.connect(":memory:") as database:
            return str(database.execute("select ?", (int(digits),)).fetchone()[0])

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/number?digits=7").status_code == 200
        assert client.get(f"/number?digits={2**70}").status_code == 422
