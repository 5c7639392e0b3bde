"""A receiver that never answers holds up whoever has named it, and nobody else."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Actor, Role
from renderctl.core.settings import WebhookSettings
from renderctl.core.webhooks import DeliveryState
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from renderctl.farm.webhooks.registrations import add_webhook, list_deliveries
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, close, given_job, make_farm, quick_settings, wait_for
from tests.receivers import Heard, receiving
from tests.server.conftest import Served

EVE, BOB = (Actor(name, role=Role.OPERATOR, projects=frozenset(["default"])) for name in ("eve", "bob"))


class Silent:
    """A receiver that hears and says nothing before it is let go."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.go = threading.Event()
        self.waiting = self.most = 0
        self._lock = threading.Lock()

    def hold(self, _heard: Heard) -> None:
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.go.wait(60)
        with self._lock:
            self.waiting -= 1


@contextmanager
def silent() -> Iterator[Silent]:
    with receiving() as receiver:
        held = Silent(receiver.url)
        receiver.on_heard = held.hold
        try:
            yield held
        finally:
            held.go.set()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """One that may tell receivers on this machine, and waits long for them."""
    webhooks = WebhookSettings(allow=("127.0.0.1/32",), timeout=20)
    farm = make_farm(tmp_path / "data", settings=replace(quick_settings(tmp_path / "data"), webhooks=webhooks))
    yield farm
    close(farm)


@pytest.mark.slow
def test_pings_that_hang_take_no_thread_that_others_requests_wait_for(farm: Farm) -> None:
    quiet = replace(farm, settings=replace(farm.settings, webhooks=replace(farm.settings.webhooks, send=False)))
    app = create_app(LocalCommands(quiet.settings, ACTOR, quiet))
    with TestClient(app, base_url="http://farm.test") as client, silent() as receiver, ThreadPoolExecutor(50) as pool:
        served = Served(quiet, client)
        eve, bob = (served.person(name, Role.OPERATOR, "default") for name in ("eve", "bob"))
        webhook = add_webhook(quiet, EVE, receiver.url, job=given_job(quiet, "1").id).webhook.id

        def ping(_number: int) -> Any:
            return client.post(f"/api/v1/webhooks/{webhook}/ping", headers=eve)

        pings = [pool.submit(ping, number) for number in range(45)]
        wait_for(farm, lambda: sum(current.done() for current in pings) == 43)
        refused = [item.result() for item in pings if item.done()]
        assert {(entry.status_code, entry.headers["retry-after"]) for entry in refused} == {(429, "2")}
        assert client.get("/api/v1/jobs?limit=1", headers=bob).status_code == 200
        assert receiver.most == 2
        receiver.go.set()
        assert [element.result().status_code for element in pings if element.result() not in refused] == [200, 200]
        assert ping(1).status_code == 200


@pytest.mark.slow
def test_deliveries_of_one_user_that_hang_leave_threads_for_those_of_others(farm: Farm) -> None:
    teller = WebhookDispatcher(farm, "teller")
    with silent() as receiver, receiving() as prompt:
        for _ in range(60):
            job = given_job(farm, "1").id
            add_webhook(farm, EVE, receiver.url, job=job, events=["job.canceled"])
            cancel(farm, EVE, job)
        teller.start()
        wait_for(farm, lambda: receiver.waiting > 0)
        job = given_job(farm, "1").id
        add_webhook(farm, BOB, prompt.url, job=job, events=["job.canceled"])
        cancel(farm, BOB, job)
        began = time.monotonic()
        wait_for(farm, lambda: len(prompt.heard) == 1)
        assert time.monotonic() - began < farm.settings.webhooks.timeout / 2
        assert 1 <= receiver.most <= 4
        receiver.go.set()
        wait_for(farm, lambda: len(list_deliveries(farm, ACTOR, limit=100)) == 61 and not waiting(farm))
        teller.stop()


def waiting(farm: Farm) -> list[str]:
    found = list_deliveries(farm, ACTOR, limit=100)
    return [item.id for item in found if item.state is DeliveryState.WAITING]
