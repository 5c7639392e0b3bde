"""A farm of its own on real servers: those that `python -m tests.services -- python -m benchmarks …` starts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import empty_folder
from renderctl.core.settings import CacheSettings, DatabaseSettings, QueueSettings, Settings, StoreSettings
from renderctl.wiring import open_farm
from tests.services import MariaDb, RabbitMq, RadosGateway, Redis
from tests.services.fresh import fresh_bucket, fresh_mysql, fresh_rabbitmq, fresh_redis


@dataclass(frozen=True)
class Site:
    """Where the parts of the farm are."""

    folder: Path
    database_url: str
    broker_url: str
    cache_url: str
    store: StoreSettings

    def settings(self, node: str = "bench") -> Settings:
        """Those of a node, with a data folder of its own."""
        return Settings(
            data_dir=self.folder / node,
            database=DatabaseSettings(self.database_url),
            store=self.store,
            queue=QueueSettings("rabbitmq", self.broker_url),
            cache=CacheSettings("redis", self.cache_url),
        )

    def environment(self, node: str) -> Mapping[str, str]:
        """The same as variables, for a process."""
        services = {
            "RENDERCTL_DATA_DIR": str(self.folder / node),
            "RENDERCTL_DATABASE__URL": self.database_url,
            "RENDERCTL_QUEUE__KIND": "rabbitmq",
            "RENDERCTL_QUEUE__URL": self.broker_url,
            "RENDERCTL_CACHE__KIND": "redis",
            "RENDERCTL_CACHE__URL": self.cache_url,
        }
        if self.store.kind == "local":
            return services
        return {
            **services,
            "RENDERCTL_STORE__KIND": "minio",
            "RENDERCTL_STORE__ENDPOINT": self.store.endpoint or "",
            "RENDERCTL_STORE__ACCESS_KEY": self.store.access_key or "",
            "RENDERCTL_STORE__SECRET_KEY": self.store.secret_key or "",
            "RENDERCTL_STORE__BUCKET": self.store.bucket,
            "RENDERCTL_STORE__SECURE": "false",
        }

    @contextmanager
    def farm(self) -> Iterator[Any]:
        """The farm, for this process."""
        opened: list[Any] = []
        (self.folder / "bench").mkdir()
        try:
            yield open_farm(self.settings(), opened)
        finally:
            while opened:
                opened.pop().close()


@contextmanager
def service_site(*, bucket: bool = True) -> Iterator[Site]:
    """An empty database, virtual host, cache and bucket (else a local store), gone afterwards."""
    with ExitStack() as stack:
        yield Site(
            folder=stack.enter_context(empty_folder()),
            database_url=stack.enter_context(fresh_mysql(os.environ[MariaDb.variable])),
            broker_url=stack.enter_context(
                fresh_rabbitmq(os.environ[RabbitMq.variable], os.environ[RabbitMq.api_variable])
            ),
            cache_url=stack.enter_context(fresh_redis(os.environ[Redis.variable])),
            store=stack.enter_context(fresh_bucket(os.environ[RadosGateway.variable])) if bucket else StoreSettings(),
        )
