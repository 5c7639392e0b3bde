"""A Redis that is away, frozen, emptied or used by others slows nobody down, and is used again."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from renderctl.caches.redis import RedisCache
from tests.fakes import FakeClock
from tests.ports.redises import error_text, used, works
from tests.services import Redis, running
from tests.services.fixtures import require

pytestmark = pytest.mark.services


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


@contextmanager
def black_hole() -> Iterator[str]:
    """A port that swallows what is sent to it: its queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(8):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(listener.getsockname())
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        finally:
            for item in waiting:
                item.close()


def test_a_server_that_is_gone_costs_nothing_and_is_used_again_when_it_is_back(
    server: Redis, cache: RedisCache, clock: FakeClock
) -> None:
    assert works(cache)
    server.kill()
    started = time.monotonic()
    used(cache, 200)
    assert time.monotonic() - started < 1.0
    assert "is out of reach: Connection refused" in error_text(cache)
    assert f"127.0.0.1:{server.port}" in error_text(cache)
    server.start()
    clock.advance(seconds=3.1)
    assert works(cache)


def test_a_restart_between_two_questions_is_not_noticed(server: Redis, cache: RedisCache) -> None:
    assert works(cache)
    server.restart()
    assert works(cache)


def test_a_server_that_lost_its_scripts_gets_them_again(cache: RedisCache, client: "redis.Redis") -> None:
    assert works(cache)
    client.script_flush()
    client.flushall()
    assert works(cache)


def test_a_frozen_server_costs_a_third_of_a_second_and_then_nothing_for_a_while(
    server: Redis, cache: RedisCache, clock: FakeClock
) -> None:
    assert works(cache)
    server.freeze()
    started = time.monotonic()
    used(cache, 200)
    assert time.monotonic() - started < 2.0
    clock.advance(seconds=3.1)
    started = time.monotonic()
    used(cache, 200)
    assert time.monotonic() - started < 2.0
    assert "does not answer" in error_text(cache)
    server.thaw()
    clock.advance(seconds=3.1)
    assert works(cache)


def test_of_many_threads_one_finds_out_whether_a_frozen_server_is_back(
    server: Redis, cache: RedisCache, clock: FakeClock
) -> None:
    server.freeze()
    used(cache)
    clock.advance(seconds=3.1)
    seconds: list[float] = []

    def ask() -> None:
        started = time.monotonic()
        cache.get("job:1")
        seconds.append(time.monotonic() - started)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(second > 0.2 for second in seconds) == 1


def test_a_black_hole_costs_no_more(clock: FakeClock) -> None:
    with black_hole() as url:
        cache = RedisCache(url, clock)
        started = time.monotonic()
        used(cache, 200)
        assert time.monotonic() - started < 2.0
        assert "does not answer" in error_text(cache)
        cache.close()


def test_a_warning_is_given_once_and_not_at_every_try(
    server: Redis, cache: RedisCache, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    with caplog.at_level(logging.INFO, "renderctl"):
        for _ in range(10):
            used(cache)
            clock.advance(seconds=3.1)
        server.start()
        assert works(cache)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "The farm works without it." in caplog.messages[0]
    assert caplog.messages[1].endswith("is back")


def test_what_somebody_else_wrote_there_is_nothing_and_is_replaced(cache: RedisCache, client: "redis.Redis") -> None:
    document, log = "renderctl:document:job:1", "renderctl:log:log:1"
    for write in (
        lambda: client.set(document, "nonsense"),
        lambda: client.set(document, "9" * 20 + " 5 [1]"),
        lambda: client.set(document, "9" * 30 + " 5 {"),
        lambda: client.set(document, "9" * 20 + " five {"),
        lambda: client.rpush(document, "a list"),
        lambda: client.set(log, "no stream"),
    ):
        client.delete(document, log)
        write()
        assert cache.get("job:1") is None
        assert cache.get("job:1", younger_than_s=9) is None
        assert cache.get_many(["job:1"]) == {}
        assert cache.tail("log:1", 0) == (b"", 0)
        assert works(cache)


def test_its_keys_are_its_own_and_all_of_them_end(cache: RedisCache, client: "redis.Redis") -> None:
    assert works(cache)
    cache.check()
    keys = list(client.scan_iter())
    assert len(keys) >= 2
    assert all(key.startswith(b"renderctl:") and client.pttl(key) > 0 for key in keys)
