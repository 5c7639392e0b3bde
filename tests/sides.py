"""Both sides that a farm can have: everything embedded in a folder, and everything on real services."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.settings import CacheSettings, DatabaseSettings, QueueSettings, Settings, StoreSettings
from renderctl.farm import Farm
from tests.fake_blender import FakeExecutor
from tests.fakes import FakeClock
from tests.farms import close, make_farm, quick_settings

SIDES = ["embedded", pytest.param("services", marks=pytest.mark.services)]


@pytest.fixture(params=SIDES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of an empty farm with short heartbeats, on either side."""
    if request.param == "services":
        served: Settings = request.getfixturevalue("on_services")
        return served
    return quick_settings(tmp_path)


@pytest.fixture
def on_services(tmp_path: Path, ready_mysql_url: str, s3: StoreSettings, rabbitmq_url: str, redis_url: str) -> Settings:
    """The settings of an empty farm whose truth, files, turns and copies are all elsewhere."""
    return replace(
        quick_settings(tmp_path),
        database=DatabaseSettings(ready_mysql_url),
        store=s3,
        queue=QueueSettings("rabbitmq", rabbitmq_url),
        cache=CacheSettings("redis", redis_url),
    )


@pytest.fixture
def farm(tmp_path: Path, settings: Settings, executor: FakeExecutor) -> Iterator[Farm]:
    """A farm on the system's clock, with a Blender that takes no time."""
    farm = make_farm(tmp_path, settings=settings, executor=executor)
    yield farm
    close(farm)


@pytest.fixture
def quiet(tmp_path: Path, settings: Settings, clock: FakeClock) -> Iterator[Farm]:
    """A farm whose time a test turns."""
    farm = make_farm(tmp_path, settings=settings, clock=clock)
    yield farm
    close(farm)


def service_variables(settings: Settings) -> dict[str, str]:
    """What makes a process use the services that the settings name."""
    if settings.store.kind == "local":
        return {}
    store, rabbitmq, redis = settings.store, settings.queue, settings.cache
    named = {
        "DATABASE__URL": settings.database.url,
        "STORE__KIND": store.kind,
        "STORE__ENDPOINT": store.endpoint,
        "STORE__ACCESS_KEY": store.access_key,
        "STORE__SECRET_KEY": store.secret_key,
        "STORE__BUCKET": store.bucket,
        "STORE__SECURE": str(store.secure).lower(),
        "QUEUE__KIND": rabbitmq.kind,
        "QUEUE__URL": rabbitmq.url,
        "CACHE__KIND": redis.kind,
        "CACHE__URL": redis.url,
    }
    return {f"RENDERCTL_{name}": value for name, value in named.items() if value is not None}
