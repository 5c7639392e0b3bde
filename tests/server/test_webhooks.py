"""Webhooks over HTTP: a server sends for the farm, too, and what it could not send is measured."""

from renderctl.core.actors import Role
from renderctl.core.webhooks import Event
from tests.farms import ACTOR, given_job, wait_for
from tests.server.conftest import Served
from tests.server.routes import API


def test_a_server_sends_and_measures_what_it_could_not_send(served: Served) -> None:
    job = given_job(served.farm, "1")
    webhook = served.farm.repository.webhooks.add(
        "http://127.0.0.1:9/", "secret", tuple(Event), project="default", job_id=None, actor=ACTOR
    )
    olga = served.person("olga", Role.OPERATOR)
    served.farm.repository.jobs.cancel(job.id, actor=ACTOR)
    path = f"{API}/webhooks/{webhook.id}/deliveries?undeliverable=true"
    wait_for(served.farm, lambda: served.client.get(path, headers=olga).json())
    (delivery,) = served.client.get(path, headers=olga).json()
    assert (delivery["event"], delivery["job"], delivery["tries"]) == ("job.canceled", job.id, 1)
    assert delivery["error"] == "The receiver is inside the farm's own network."
    figures = served.client.get("/metrics", headers=olga).text
    assert 'renderctl_webhook_deliveries{state="undeliverable"} 1.0' in figures
    assert 'renderctl_webhook_deliveries{state="waiting"} 0.0' in figures


def test_the_secret_is_told_to_who_adds_it_and_never_again(served: Served) -> None:
    mona = served.person("mona", Role.ARTIST, "film")
    job = given_job(served.farm, "1", project="film")
    served.farm.repository.users.set_role("mona", Role.OPERATOR, actor=ACTOR)
    body = {"url": "https://93.184.215.14/hook", "job": job.id, "events": ["job.failed"]}
    added = served.client.post(f"{API}/webhooks", json=body, headers=mona)
    secret = added.json()["secret"]
    assert (added.status_code, secret[:6]) == (201, "rctlw_")
    for path in ("webhooks", "webhooks/deliveries"):
        assert secret not in served.client.get(f"{API}/{path}", headers=mona).text
    assert secret not in str(served.farm.repository.audit.newest())


def test_a_receiver_inside_the_farm_is_refused(served: Served) -> None:
    mona = served.person("mona", Role.ADMIN)
    body = {"url": "http://localhost:6379/", "project": "default"}
    refused = served.client.post(f"{API}/webhooks", json=body, headers=mona)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
