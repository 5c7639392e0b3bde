"""Everything that the description of the API allows, and more: no answer that it does not describe, and none of 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from renderctl.core.actors import Role
from renderctl.core.webhooks import Event
from renderctl.repository.webhooks.outbox import add_event
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, close, given_job, given_worker, make_farm, work_off
from tests.server.conftest import Served
from tests.server.routes import API

pytestmark = pytest.mark.slow
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 10


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, Served]]:
    farm = make_farm(tmp_path_factory.mktemp("openapi") / "data")
    given_job(farm, "1-3")
    given_worker(farm)
    app = create_app(LocalCommands(farm.settings, ACTOR, farm))
    with TestClient(app, base_url="http://farm.test", raise_server_exceptions=False) as client:
        app.state.stopping.set()  # so that what is followed ends at once
        yield app, Served(farm, client)
    close(farm)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ARTIST])
def test_every_answer_is_as_it_is_described(app: tuple[FastAPI, Served], role: Role) -> None:
    served = app[1]
    headers = served.person(f"fuzz-{role}", role, "default")
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", app[0])
    asked, rendered = 0, _real_things(served, finished=True)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if (operation.method, operation.path) != ("delete", f"{API}/tokens/mine"):  # nobody would be let in any more
            real = rendered if operation.method == "get" else _real_things(served)
            asked += _asked(operation, headers, real)
    assert asked > 300


def _asked(operation: Any, headers: dict[str, str], real: dict[str, str]) -> int:
    """Ask whatever comes to its mind, half of it about real things; how often."""
    asked = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), about_real_things=booleans())
    def ask(case: schemathesis.Case[Any], about_real_things: bool) -> None:
        nonlocal asked
        asked += 1
        if about_real_things:
            case.path_parameters.update({name: real[name] for name in case.path_parameters if name in real})
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = real["model"]
        answer = case.call(headers=headers)
        is_full = answer.status_code == 507  # files of more bytes than this disk has were announced
        case.validate_response(
            answer, checks=[check for check in CHECKS if not (is_full and check is not_a_server_error)]
        )

    ask()
    return asked


def _real_things(served: Served, *, finished: bool = False) -> dict[str, str]:
    """The names of things that there are."""
    job = given_job(served.farm, "1-2", pool="fuzz")
    if finished:
        work_off(served.farm, name="w2", pools=("fuzz",), idle_exit_s=0.05)
    repository = served.farm.repository
    told: dict[str, Any] = {"project": job.project, "job_id": job.id, "actor": ACTOR}
    webhook = repository.webhooks.add("http://127.0.0.1:9/", "secret", tuple(Event), **told)
    repository.database.write(lambda connection: add_event(connection, Event.TASK_FAILED, job.id))
    attempts = repository.attempts.of_job(job.id)
    said = {"job": job.id, "task_id": f"{job.id}-1", "number": "1", "name": "0001.png", "model": "shot", "worker": "w1"}
    said |= {"webhook": webhook.id, "delivery": repository.deliveries.newest([webhook.id])[0].id}
    return said | ({"attempt_id": attempts[0].id} if attempts else {})
