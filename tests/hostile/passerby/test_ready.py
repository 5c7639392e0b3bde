"""Whoever passes by asks again and again whether the server is ready: the store is asked for no more than that."""

from dataclasses import replace

from fastapi.testclient import TestClient

from renderctl.farm import Farm
from renderctl.server.api.health import CACHE_S
from renderctl.server.app import create_app
from renderctl.stores.local import LocalStore
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR


class CountingStore(LocalStore):
    """A store that counts how often it is asked."""

    asked = 0

    def missing(self, digests: set[str]) -> set[str]:
        self.asked += 1
        return super().missing(digests)


def test_many_questions_are_one_look_in_a_moment(farm: Farm) -> None:
    store = CountingStore(farm.settings.data_dir / "store")
    app = create_app(LocalCommands(farm.settings, ACTOR, replace(farm, store=store)))
    with TestClient(app) as client:
        began = farm.clock.monotonic()
        for _ in range(100):
            assert client.get("/readyz").status_code == 200
        looks = (farm.clock.monotonic() - began) / CACHE_S + 1
    assert store.asked <= looks
