"""Real servers for tests: MariaDB, Redis, RabbitMQ, an S3 store and a Docker engine, each private, on free ports.

`python -m tests.services -- COMMAND` starts them all, runs the command with RENDERCTL_TEST_*_URL set, and ends them.
A test that injures a server takes one of its own: `with running(Redis) as redis: redis.freeze()`.
"""

from tests.services.engine import DockerEngine
from tests.services.mariadb import MariaDb
from tests.services.rabbitmq import RabbitMq
from tests.services.rados import RadosGateway
from tests.services.redis import Redis
from tests.services.registry import Registry
from tests.services.server import Server, ServerFailed, running

__all__ = [
    "SERVERS",
    "DockerEngine",
    "MariaDb",
    "RabbitMq",
    "RadosGateway",
    "Redis",
    "Registry",
    "Server",
    "ServerFailed",
    "running",
]

#: The slowest to start first.
SERVERS: tuple[type[Server], ...] = (RadosGateway, DockerEngine, RabbitMq, MariaDb, Redis)
