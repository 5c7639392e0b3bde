"""How a server is seen from outside: whether it can serve, and the figures of the farm that Prometheus reads."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from renderctl.core.actors import Role, Scope
from renderctl.farm import Farm
from renderctl.farm.jobs.control import retry
from renderctl.server.app import create_app
from renderctl.server.metrics import Exporter
from renderctl.stores.minio import MinioStore
from renderctl.wiring import LocalCommands
from tests.fakes import FakeClock
from tests.farms import ACTOR, given_job, given_worker, work_off
from tests.nodes import until
from tests.ports.broken_s3 import broken_s3, refusal
from tests.server.conftest import Served

DASHBOARD = Path(__file__).parents[2] / "compose" / "grafana" / "dashboards" / "renderctl.json"
TOKEN = "a token for the figures alone, and for nothing else"


def samples(text: str) -> dict[str, float]:
    """Every line of an answer: `name{label="…"}`, and its value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def told(farm: Farm, figures: Exporter) -> dict[str, float]:
    return samples(figures.render(LocalCommands(farm.settings, ACTOR, farm))[0].decode())


def test_prometheus_reads_the_figures_with_a_token_and_nobody_else(served: Served) -> None:
    given_job(served.farm, "1-3")
    given_worker(served.farm, slots=4)
    ada = served.person("ada", Role.OPERATOR, scope=Scope.READ)
    found = samples(served.client.get("/metrics", headers=ada).text)
    assert found['renderctl_tasks{state="queued"}'] == 3
    assert found['renderctl_workers{state="active"}'] == 1
    assert found["renderctl_queue_depth"] == 1
    assert found["renderctl_slots"] == 4
    assert served.client.get("/metrics").status_code == 401  # also when the answer is at hand
    assert served.client.get("/metrics", headers=served.person("bob", Role.ARTIST, "default")).status_code == 403


@pytest.fixture
def with_token(farm: Farm) -> Iterator[TestClient]:
    settings = replace(farm.settings, serve=replace(farm.settings.serve, metrics_token=TOKEN))
    with TestClient(create_app(LocalCommands(settings, ACTOR, farm)), base_url="http://farm.test") as client:
        yield client


def test_the_token_in_the_settings_is_good_for_the_figures_and_for_nothing_else(with_token: TestClient) -> None:
    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert "renderctl_tasks" in with_token.get("/metrics", headers=shown).text
    assert with_token.get("/api/v1/jobs", headers=shown).status_code == 401
    assert with_token.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}s"}).status_code == 401


@pytest.mark.slow
def test_each_frame_and_each_job_is_counted_once(farm: Farm) -> None:
    clock = FakeClock()
    figures = Exporter(clock)
    given_job(farm, "1-2")
    work_off(farm)
    assert told(farm, figures)["renderctl_frame_seconds_count"] == 0  # what was before it was first asked
    job = given_job(farm, "1-3")
    work_off(farm)
    for frames in (3, 3):
        clock.advance(seconds=6)
        found = told(farm, figures)
        assert found["renderctl_frame_seconds_count"] == frames
        assert found["renderctl_job_waiting_seconds_count"] == 1
        assert found["renderctl_frame_seconds_sum"] >= 0
    retry(farm, ACTOR, job.id, "2")
    work_off(farm)
    clock.advance(seconds=6)
    found = told(farm, figures)
    assert (found["renderctl_frame_seconds_count"], found["renderctl_job_waiting_seconds_count"]) == (4, 1)
    assert found['renderctl_attempts{state="succeeded"}'] == 6


def test_the_farm_is_asked_once_in_a_few_seconds_however_many_read(farm: Farm) -> None:
    clock = FakeClock()
    figures = Exporter(clock)
    assert told(farm, figures)["renderctl_queue_depth"] == 0
    given_job(farm, "1-3")
    assert told(farm, figures)["renderctl_queue_depth"] == 0
    clock.advance(seconds=6)
    assert told(farm, figures)["renderctl_queue_depth"] == 1


def test_grafana_asks_for_nothing_that_is_not_told(served: Served) -> None:
    ada = served.person("ada", Role.OPERATOR, scope=Scope.READ)
    given_job(served.farm, "1-3")
    work_off(served.farm)
    served.client.get("/healthz")
    found = samples(served.client.get("/metrics", headers=ada).text)
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    names = {each.partition("{")[0] for each in found}
    assert len(wanted := set(re.findall(r"\brenderctl_\w+", asked))) > 10
    assert wanted <= names
    states = {each for each in re.findall(r'(\w+)\{state="(\w+)"\}', asked)}
    assert states
    assert {f'{name}{{state="{state}"}}' for name, state in states} <= set(found)


@pytest.mark.parametrize(
    "panel", json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"], ids=lambda it: it["title"]
)
def test_prometheus_understands_what_grafana_asks(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        promql_parser.parse(target["expr"].replace("$__rate_interval", "1m"))


def test_a_job_that_waits_for_another_does_not_wait_for_a_worker(farm: Farm) -> None:
    paused = given_job(farm, "1", paused=True)
    given_job(farm, "1", after=(paused.id,))
    assert farm.repository.metrics.measure().waiting_s == 0.0
    given_job(farm, "1")
    assert farm.repository.metrics.measure().waiting_s > 0.0


def test_all_that_is_told_of_the_farm_is_on_the_dashboard(served: Served) -> None:
    ada = served.person("ada", Role.OPERATOR, scope=Scope.READ)
    text = served.client.get("/metrics", headers=ada).text
    families = {each.name for each in text_string_to_metric_families(text) if not each.name.endswith("_created")}
    assert {each for each in families if each not in DASHBOARD.read_text(encoding="utf-8")} == set()


@pytest.mark.slow
def test_a_server_is_not_ready_while_its_store_is_away_though_it_was_there(farm: Farm) -> None:
    with broken_s3() as s3:
        away = replace(farm, store=MinioStore(s3.settings, timeout_s=0.5))
        with TestClient(create_app(LocalCommands(farm.settings, ACTOR, away)), base_url="http://farm.test") as client:
            assert client.get("/readyz").status_code == 200
            s3.answers = [lambda _asked: refusal("AccessDenied")]
            until(lambda: client.get("/readyz").status_code == 503, 10, what="that it is not ready")
            told = client.get("/readyz").json()
            assert told == {"status": "not ready", "parts": {"database": True, "store": False}}
            s3.answers = []
            until(lambda: client.get("/readyz").status_code == 200, 10, what="that it is ready again")
