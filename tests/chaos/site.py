"""A farm on real services of its own: four servers, and nodes that each have a disk and maybe a cable."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from renderctl.core.settings import CacheSettings, DatabaseSettings, QueueSettings, Settings
from tests.chaos.hooks import MAY_BE_TOLD
from tests.chaos.network import GATEWAY, Cable
from tests.chaos.proxy import Proxy, running_proxy
from tests.nodes import RENDERCTL, Node, Site
from tests.services import MariaDb, RabbitMq, RadosGateway, Redis, Server, ServerFailed
from tests.services.fresh import ask, fresh_bucket, fresh_mysql, fresh_rabbitmq, fresh_redis
from tests.sides import service_variables

#: Seconds; longer than on one machine, since a server that restarts keeps a whole machine of two cores busy.
HEARTBEAT_S, LIMIT_S = 0.5, 2.5
FAKE = (sys.executable, "-m", "tests.fake_worker")
_HERE, _ROOT = "127.0.0.1", Path(__file__).parents[2]


@dataclass(frozen=True)
class Servers:
    """The four of one farm."""

    database: MariaDb
    store: RadosGateway
    broker: RabbitMq
    cache: Redis

    @property
    def all(self) -> tuple[Server, ...]:
        return (self.database, self.store, self.broker, self.cache)

    def heal(self, *, database: bool = True) -> None:
        """Have all of them run, whatever befell them; or all but the database."""
        for server in self.all[0 if database else 1 :]:
            server.thaw()
            try:
                server.wait_until(server.answers, "an answer", within_s=5.0)
            except ServerFailed:
                server.kill()
                server.start()


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Four servers of our own, started at the same time."""
    servers = Servers(MariaDb(), RadosGateway(), RabbitMq(), Redis())
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.start(), servers.all))
        yield servers
    finally:
        for server in servers.all:
            server.discard()


@dataclass(frozen=True)
class Proxies:
    """What stands between a farm and two of its servers."""

    database: Proxy
    store: Proxy

    def reset(self, servers: Servers) -> None:
        """As if they were not there."""
        self.database.order(severs=0, late_s=0.0, skew_s=0, target=servers.database.port)
        self.store.order(wrong=False, full=False, delete_s=0.0)


@contextmanager
def running_proxies(servers: Servers) -> Iterator[Proxies]:
    with (
        running_proxy("database_proxy", servers.database.port) as database,
        running_proxy("store_proxy", servers.store.port) as store,
    ):
        yield Proxies(database, store)


@dataclass
class ServedSite(Site):
    """A farm of the four services."""

    places: Settings = field(kw_only=True)  #: where the farm has its things, as this machine sees it
    servers: Servers = field(kw_only=True)
    proxies: Proxies | None = None  #: through which it reaches its database and its store
    replica: MariaDb | None = None  #: what takes over when the database is gone
    cables: dict[str, Cable] = field(default_factory=dict)  #: of the nodes that have one
    skewed_clock: Path | None = None  #: see `build_skewed_clock`

    def variables(self, name: str) -> dict[str, str]:
        host = GATEWAY if name in self.cables else _HERE
        places = {key: value.replace(_HERE, host) for key, value in service_variables(self.places).items()}
        skew = self._skew_file(name)
        clock = {"LD_PRELOAD": str(self.skewed_clock), "SKEW_FILE": str(skew)} if skew.exists() else {}
        return {
            **clock,
            **places,
            **MAY_BE_TOLD,
            **fake_variables(),
            **self.services,
            "RENDERCTL_DATA_DIR": str(self.data / name),
            "RENDERCTL_WORKER__HEARTBEAT": str(HEARTBEAT_S),
            "RENDERCTL_WORKER__HEARTBEAT_LIMIT": str(LIMIT_S),
            "RENDERCTL_WORKER__QUANTUM": "5",
        }

    def skew(self, name: str, seconds: int) -> None:
        """Have a node's clock be wrong by so many seconds, from this moment on where it was set before its start."""
        with self._skew_file(name).open("r+b" if self._skew_file(name).exists() else "wb") as file:
            file.write(struct.pack("l", seconds))

    def _skew_file(self, name: str) -> Path:
        return self.data / f"{name}.skew"

    @property
    def vhost(self) -> str:
        """The place on the broker, quoted."""
        return urlsplit(self.places.queue.url or "").path.removeprefix("/")

    def queues(self, broker: RabbitMq) -> list[dict[str, Any]]:
        """Every queue, as the broker's API describes it."""
        path = f"/api/queues/{self.vhost}?disable_stats=true&enable_queue_totals=true"
        found: list[dict[str, Any]] = json.loads(ask(broker.api_url, "GET", path))
        return found

    def start_worker(self, name: str, *options: str, fake: bool = True) -> Node:
        program = FAKE if fake else (*RENDERCTL, "worker")
        cable = self.cables.get(name)
        return self.start(name, "--name", name, *options, program=(*(cable.prefix if cable else ()), *program))

    def scratches(self) -> list[Path]:
        return sorted(self.data.glob("*/scratch/*"))

    def clear(self) -> None:
        """On every node that ever was; the tickets that are stale by now are taken, too."""
        names = sorted(each.parent.name for each in self.data.glob("*/scratch"))
        sweeping = [self.start_worker(name, "--exit-when-idle", "3") for name in names]
        for each in sweeping:
            assert each.process.wait(180) == 0, each.log.read_text()


@contextmanager
def served_site(
    folder: Path, servers: Servers, proxies: Proxies | None = None, replica: MariaDb | None = None
) -> Iterator[ServedSite]:
    """A farm that holds nothing yet; what it leaves on the servers does not outlive the context.

    With a replica, database and replica are discarded by whoever has made them.
    """
    with ExitStack() as stack:
        broker = fresh_rabbitmq(servers.broker.url, servers.broker.api_url)
        database = f"{servers.database.url}renderctl" if replica else None
        database = database or stack.enter_context(fresh_mysql(servers.database.url))
        store = stack.enter_context(fresh_bucket(servers.store.url))
        if proxies:
            proxies.reset(servers)
            stack.callback(proxies.reset, servers)
            database = database.replace(f":{servers.database.port}/", f":{proxies.database.port}/")
            store = replace(store, endpoint=f"{_HERE}:{proxies.store.port}")
        places = Settings(
            folder / "nodes" / "desk",
            DatabaseSettings(database),
            store,
            QueueSettings("rabbitmq", stack.enter_context(broker)),
            CacheSettings("redis", stack.enter_context(fresh_redis(servers.cache.url))),
        )
        stack.callback(servers.heal, database=replica is None)
        site = ServedSite(folder / "nodes", folder / "logs", places=places, servers=servers)
        site.proxies, site.replica = proxies, replica
        stack.callback(shutil.rmtree, site.data, ignore_errors=True)
        stack.callback(site.end_all)
        (site.data / "desk").mkdir(parents=True)
        yield site


def fake_variables() -> dict[str, str]:
    """Where a fake worker finds itself."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))}


def build_skewed_clock(folder: Path) -> Path:
    """What shows a process another time of day, when it is preloaded."""
    library = folder / "skewed_clock.so"
    source = Path(__file__).with_name("skewed_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return library
