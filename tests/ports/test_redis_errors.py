"""Errors of a Redis server say what is wrong and what to do; never the password."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import quote

import pytest
import redis

from renderctl.caches.redis import RedisCache
from renderctl.core.errors import BadSettings
from tests.certificates import own_certificate
from tests.fakes import FakeClock
from tests.ports.redises import error_text, used, works
from tests.services import Redis, running
from tests.services.fixtures import require
from tests.services.server import free_port

pytestmark = pytest.mark.services

KEY, CERTIFICATE = own_certificate("127.0.0.1")
SECRET = "pa$$/wö:rd@#1"


class LockedRedis(Redis):
    options = MappingProxyType({"requirepass": SECRET})

    @property
    def url(self) -> str:
        return f"redis://:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/0"


class SlowRedis(Redis):
    """It takes 2 ms to read a key when it starts."""

    options = MappingProxyType({"key-load-delay": "2000", "loading-process-events-interval-bytes": "1024"})


class ClusteredRedis(Redis):
    """Its second port would be 10,000 above the first, where any client may have one."""

    options = MappingProxyType({"databases": "1", "cluster-enabled": "yes", "cluster-port": str(free_port())})


class TlsRedis(Redis):
    """With a certificate that it has signed itself."""

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.folder / 'cert.pem'}"

    def launch(self) -> None:
        (self.folder / "key.pem").write_bytes(KEY)
        (self.folder / "cert.pem").write_bytes(CERTIFICATE)
        files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no")
        self.spawn("redis-server", "--port", "0", "--tls-port", str(self.port), "--save", "", *files)


@pytest.fixture
def server() -> Iterator[Redis]:
    require(Redis)
    with running(Redis) as server:
        yield server


@pytest.fixture
def client(server: Redis) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def cache(server: Redis, clock: FakeClock) -> Iterator[RedisCache]:
    cache = RedisCache(server.url, clock)
    yield cache
    cache.close()


def test_a_server_that_is_full_loses_writes_and_says_so(cache: RedisCache, client: "redis.Redis") -> None:
    assert works(cache)
    client.config_set("maxmemory", "1mb")
    cache.put("job:1", {"at": 2}, version=2, ttl_s=60)
    assert cache.get("job:1") == {"at": 1}
    assert "is full" in error_text(cache)
    client.config_set("maxmemory", "0")
    assert works(cache) or cache.get("job:1") == {"at": 1}


def test_a_replica_is_reported_as_a_replica(cache: RedisCache, client: "redis.Redis", server: Redis) -> None:
    with running(Redis) as primary:
        client.replicaof("127.0.0.1", primary.port)
        used(cache)
        assert "is a read-only replica" in error_text(cache)
        assert "primary" in error_text(cache)


def test_a_password_is_needed_wrong_or_too_much(server: Redis, clock: FakeClock) -> None:
    with running(LockedRedis) as locked:
        plain = f"127.0.0.1:{locked.port}/0"
        assert works(RedisCache(locked.url, clock))
        assert "wants a password" in error_text(RedisCache(f"redis://{plain}", clock))
        for user, url in (("", f":{SECRET[:3]}nono@"), ("ada", "ada:nono@")):
            message = error_text(RedisCache(f"redis://{url}{plain}", clock))
            assert "rejects the user or the password" in message, user
            assert "nono" not in message
    assert "has no password" in error_text(RedisCache(f"redis://:nono@127.0.0.1:{server.port}/0", clock))


def test_a_user_with_too_few_rights_is_told_which_they_need(
    server: Redis, client: "redis.Redis", clock: FakeClock
) -> None:
    client.execute_command("ACL", "SETUSER", "farm", "on", ">key", "~renderctl:*", "+get", "+info")  # type: ignore[no-untyped-call]
    url = f"redis://farm:key@127.0.0.1:{server.port}/0"
    used(RedisCache(url, clock))
    message = error_text(RedisCache(url, clock))
    assert "does not grant this user" in message
    rights = message[message.index("~renderctl") : message.rindex(".")].strip("`").split()
    client.execute_command("ACL", "SETUSER", "farm", *rights)  # type: ignore[no-untyped-call]
    cache = RedisCache(url, clock)
    assert works(cache)
    assert "Redis" in cache.check()


def test_a_server_with_too_many_clients_is_reported_as_such(cache: RedisCache, client: "redis.Redis") -> None:
    client.config_set("maxclients", 1)
    used(cache)
    assert "too many clients" in error_text(cache)


def test_a_server_that_loads_its_data_is_reported_as_starting(clock: FakeClock) -> None:
    with running(SlowRedis) as server:
        with redis.Redis.from_url(server.url) as client:
            client.mset({f"key {number}": "x" * 1000 for number in range(1000)})
            client.save()
        server.kill()
        server.launch()
        cache = RedisCache(server.url, clock)
        server.wait_until(lambda: "is starting" in error_text(cache), "that it reads its data")
        cache.close()


def test_a_node_of_a_cluster_is_reported_as_such(clock: FakeClock) -> None:
    with running(ClusteredRedis) as server:
        cache = RedisCache(server.url, clock)
        used(cache)
        assert "a cluster is not supported" in error_text(cache)
        cache.close()


def test_tls_works_and_its_errors_are_explained(server: Redis, clock: FakeClock) -> None:
    with running(TlsRedis) as secure:
        assert works(RedisCache(secure.url, clock))
        place = f"127.0.0.1:{secure.port}/0"
        assert "certificate that is not trusted" in error_text(RedisCache(f"rediss://{place}", clock))
        assert "rediss://" in error_text(RedisCache(f"redis://{place}", clock))
    assert "a plain port" in error_text(RedisCache(f"rediss://127.0.0.1:{server.port}/0", clock))


def test_a_missing_database_is_named(server: Redis, clock: FakeClock) -> None:
    message = error_text(RedisCache(f"redis://127.0.0.1:{server.port}/999", clock))
    assert "no database with that number" in message
    assert f"redis://127.0.0.1:{server.port}/999" in message


def test_a_name_that_does_not_resolve_is_named(clock: FakeClock) -> None:
    message = error_text(RedisCache("redis://no-such-host.invalid:6379/0", clock))
    assert "cannot be found" in message
    assert "no-such-host.invalid:6379" in message


def test_a_server_that_is_not_redis_is_recognized(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with suppress(OSError):  # until the test is over
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=greet, daemon=True).start()
        cache = RedisCache(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", clock)
        assert "does not speak the Redis protocol" in error_text(cache)
        cache.close()


@pytest.mark.parametrize("url", ["", "http://host", f"redis://:{SECRET}@host:6379/0", "redis://h/0?nonsense=1"])
def test_a_malformed_url_is_a_bad_setting(url: str, clock: FakeClock) -> None:
    with pytest.raises(BadSettings, match=r"cache\.url") as caught:
        RedisCache(url, clock)
    assert "wö" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None
