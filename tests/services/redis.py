"""Redis, that keeps nothing on disk."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import redis

from tests.services.server import Server


class Redis(Server):
    name = "redis"
    variable = "RENDERCTL_TEST_REDIS_URL"
    programs = ("redis-server",)
    in_memory = True
    #: More of its configuration, for a test that needs a special one.
    options: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        pass

    def launch(self) -> None:
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "dir": str(self.folder), "databases": "256"}
        words = [word for key, value in {**options, **self.options}.items() for word in (f"--{key}", value)]
        self.spawn("redis-server", *words)

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            return bool(client.ping())
