"""Fixtures: an empty place on a real server for each test. It carries the marker `services`, or `containers`.

The servers are those of RENDERCTL_TEST_*_URL, else our own, each started once in a run when a test first needs it.
On a machine that can not run one its tests skip; where CI is set they fail.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from renderctl.core.settings import StoreSettings
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.images import DockerImages
from renderctl.executors.images import BuildRecipe, RenderImage
from tests.lacking import lacking
from tests.services import DockerEngine, MariaDb, RabbitMq, RadosGateway, Redis, Server
from tests.services.baseimage import BASE
from tests.services.fresh import address, fresh_bucket, fresh_mysql, fresh_rabbitmq, fresh_redis
from tests.services.sharing import close_folder, open_folder, shared

#: Seconds for the first test that needs an image: 374 MB are fetched, once. Later ones find it built.
IMAGE_S = 1800
NAMES = {"mysql_url", "rabbitmq_url", "redis_url", "s3"}
Place = TypeVar("Place")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # not in the processes of pytest-xdist
        open_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        close_folder()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if NAMES & set(getattr(item, "fixturenames", ())):
            item.add_marker("services")
        if "docker_host" in getattr(item, "fixturenames", ()):
            item.add_marker("containers")
        if "render_image" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(IMAGE_S))


@pytest.fixture
def mysql_url() -> Iterator[str]:
    """The URL of an empty database."""
    url = url_of(MariaDb)
    with _fresh(MariaDb, url, lambda: fresh_mysql(url)) as fresh:
        yield fresh


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    """The URL of an empty virtual host."""
    url = url_of(RabbitMq)
    api_url = os.environ.get(RabbitMq.api_variable) or _api_beside(url)
    with _fresh(RabbitMq, url, lambda: fresh_rabbitmq(url, api_url)) as fresh:
        yield fresh


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The URL of an empty database."""
    url = url_of(Redis)
    with _fresh(Redis, url, lambda: fresh_redis(url)) as fresh:
        yield fresh


@pytest.fixture
def s3() -> Iterator[StoreSettings]:
    """The settings of a store whose bucket does not exist yet."""
    url = url_of(RadosGateway)
    with _fresh(RadosGateway, url, lambda: fresh_bucket(url)) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def docker_host() -> str:
    """Where a Docker engine is that has, or can pull, `debian:bookworm-slim`."""
    return url_of(DockerEngine)


@pytest.fixture(scope="session")
def render_image(docker_host: str) -> RenderImage:
    """An image with the Blender that is beside us; built when its recipe has changed."""
    return built_image(docker_host, metadata.version("bpy"))


def built_image(host: str, blender: str, **how: Any) -> RenderImage:
    """The image for a Blender, built as on a machine whose network only its certificates let out."""
    authorities = ssl.get_default_verify_paths().cafile
    trusted = Path(authorities) if authorities else None
    recipe = BuildRecipe(blender, authorities=trusted, network="host", base=BASE, unpinned=True, **how)
    images = DockerImages(Engine(host))
    try:
        return images.build(recipe, lambda *_: None)
    finally:
        images.close()


def url_of(kind: type[Server]) -> str:
    """Where the tests' server of that kind is; it is started if none was named. Skips where it can not be."""
    if not os.environ.get(kind.variable):
        require(kind)
        os.environ.update(shared(kind))
    return os.environ[kind.variable]


def require(kind: type[Server]) -> None:
    """Skip where a server can not be started; where CI is set that is a failure."""
    if missing := kind.missing():
        lacking(missing)


@contextmanager
def _fresh(kind: type[Server], url: str, make: Callable[[], AbstractContextManager[Place]]) -> Iterator[Place]:
    making = make()
    try:
        place = making.__enter__()
    except Exception as error:
        pytest.fail(f"{kind.name} at {address(url)} ({kind.variable}) does not serve: {error}", pytrace=False)
    try:
        yield place
    finally:
        making.__exit__(None, None, None)


def _api_beside(url: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return f"http://{user}@{host.partition(':')[0]}:15672"
