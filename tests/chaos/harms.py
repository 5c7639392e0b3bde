"""What may befall the services of a farm, and the cable of a node."""

from collections.abc import Sequence
from contextlib import suppress
from urllib.error import HTTPError
from urllib.parse import quote

import pymysql
import redis

from tests.chaos.network import Cable
from tests.chaos.rounds import Harm
from tests.chaos.site import LIMIT_S, ServedSite, Servers
from tests.services import Server
from tests.services.fresh import ask

#: Seconds: hardly noticed; longer than a worker may be silent.
_SHORT, _LONG = (0.0, 1.0), (1.5 * LIMIT_S, 3.0 * LIMIT_S)


def harms_of_database(servers: Servers) -> Sequence[Harm]:
    """The truth is away for a while, and never loses what it has said."""
    server = servers.database
    return [
        *_harms_of_server("database", server, _SHORT),
        Harm("database away for long", "database", server.kill, server.start, _LONG),
        Harm("database connections killed", "database", lambda: _kill_sessions(server.port)),
    ]


def harms_of_broker(site: ServedSite, servers: Servers) -> Sequence[Harm]:
    """Tickets may get lost, connections break, and the server be away."""
    broker = servers.broker
    return [
        *_harms_of_server("broker", broker, _SHORT),
        Harm("broker's queues purged", "broker", lambda: _each_queue(site, servers, "/contents")),
        Harm("broker's queues deleted", "broker", lambda: _each_queue(site, servers, "")),
        Harm(
            "broker's connections closed",
            "broker",
            lambda: broker.control("close_all_connections", "--global", "chaos"),
        ),
    ]


def harms_of_cache(servers: Servers) -> Sequence[Harm]:
    """It may lose everything at any time."""

    def client() -> "redis.Redis":
        return redis.Redis.from_url(servers.cache.url)

    return [
        *_harms_of_server("cache", servers.cache, (0.0, LIMIT_S)),
        Harm("cache flushed", "cache", lambda: client().flushall()),
        Harm("cache connections killed", "cache", lambda: client().client_kill_filter(_type="normal", skipme=True)),
    ]


def harms_of_store(servers: Servers) -> Sequence[Harm]:
    """Its gateway is away; what it has taken stays."""
    store = servers.store
    return [
        Harm("store's gateway killed", "store", store.kill_gateway, store.start, (0.0, LIMIT_S)),
        Harm("store frozen", "store", store.freeze, store.thaw, (0.5 * LIMIT_S, 2.0 * LIMIT_S)),
        Harm("store killed", "store", store.kill, store.start, _SHORT),
    ]


def harms_of_cable(name: str, cable: Cable) -> Sequence[Harm]:
    """The worker becomes a zombie: it goes on, and comes back late."""
    return [
        Harm("cable cut for a moment", name, cable.cut, cable.mend, _SHORT),
        Harm("cable cut for long", name, cable.cut, cable.mend, _LONG),
        Harm("answers lost", name, cable.deafen, cable.mend, _LONG),
    ]


def _harms_of_server(name: str, server: Server, away: tuple[float, float]) -> Sequence[Harm]:
    frozen = (0.5 * LIMIT_S, 2.0 * LIMIT_S)
    return [
        Harm(f"{name} restarted", name, server.stop, server.start),
        Harm(f"{name} killed", name, server.kill, server.start, away),
        Harm(f"{name} frozen", name, server.freeze, server.thaw, frozen),
    ]


def _kill_sessions(port: int) -> None:
    with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()")
        for (session,) in cursor.fetchall():
            with suppress(pymysql.err.OperationalError):  # it has gone by itself
                cursor.execute(f"KILL {session}")


def _each_queue(site: ServedSite, servers: Servers, path: str) -> None:
    for queue in site.queues(servers.broker):
        with suppress(HTTPError):  # it was gone already
            ask(servers.broker.api_url, "DELETE", f"/api/queues/{site.vhost}/{quote(queue['name'], safe='')}{path}")
