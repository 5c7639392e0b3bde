"""What the servers of a farm have done and used, by their own counters and the processor time of their processes."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import redis
from sqlalchemy import Connection, text

from benchmarks.services import Site
from renderctl.farm import Farm
from tests.services import RabbitMq
from tests.services.fresh import ask

_COUNTERS = ("Questions", "Com_commit", "Innodb_row_lock_waits", "Innodb_row_lock_time", "Innodb_os_log_written")
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServerCounters:
    """Since the servers have started; processor times and memory only of servers on this machine, else 0."""

    database: dict[str, int]  #: MariaDB's own
    commands: int  #: of the cache
    cpu_s: dict[str, float]  #: by server
    memory_mb: dict[str, float]  #: by server

    def since(self, earlier: "ServerCounters") -> "ServerCounters":
        """What has come between two moments, and the memory at the later one."""
        return ServerCounters(
            {name: value - earlier.database[name] for name, value in self.database.items()},
            self.commands - earlier.commands,
            {name: value - earlier.cpu_s[name] for name, value in self.cpu_s.items()},
            self.memory_mb,
        )


class Servers:
    """MariaDB, RabbitMQ and Redis of a site."""

    def __init__(self, site: Site, farm: Farm) -> None:
        self._farm = farm
        self._cache = redis.Redis.from_url(site.cache_url)
        self._processes = {"database": self._database(), "broker": self._broker(), "cache": self._redis()}

    def counters(self) -> ServerCounters:
        database = self._farm.repository.database.read(_status)
        processes = {name: process for name, process in self._processes.items() if process is not None}
        return ServerCounters(
            database,
            int(self._cache.info("stats")["total_commands_processed"]),
            {name: _cpu_s(process) for name, process in processes.items()},
            {name: process.memory_info().rss / 1e6 for name, process in processes.items()},
        )

    def _database(self) -> psutil.Process | None:
        url = self._farm.repository.database.engine.url
        if url.host not in _LOCAL:
            return None
        pid_file = self._farm.repository.database.read(lambda connection: connection.scalar(text("SELECT @@pid_file")))
        return _process(Path(str(pid_file)).read_text())

    def _broker(self) -> psutil.Process | None:
        api_url = os.environ.get(RabbitMq.api_variable, "")
        if urlsplit(api_url).hostname not in _LOCAL:
            return None
        return _process(json.loads(ask(api_url, "GET", "/api/nodes?columns=os_pid"))[0]["os_pid"])

    def _redis(self) -> psutil.Process | None:
        if self._cache.connection_pool.connection_kwargs.get("host") not in _LOCAL:
            return None
        return _process(self._cache.info("server")["process_id"])


def _process(pid: Any) -> psutil.Process:
    return psutil.Process(int(pid))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _status(connection: Connection) -> dict[str, int]:
    names = ", ".join(f"'{name}'" for name in _COUNTERS)
    rows = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
    return {name: int(value) for name, value in rows}
