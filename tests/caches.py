"""Both caches, and how time goes by in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis

from renderctl.caches import Cache
from renderctl.caches.redis import RedisCache
from renderctl.caches.sqlite import SqliteCache
from tests.fakes import FakeClock

#: For a fixture's `params`.
BOTH_CACHES = ["sqlite", pytest.param("redis", marks=pytest.mark.services)]
#: Lets so many seconds go by in a cache.
Age = Callable[[float], None]


@contextmanager
def open_cache(request: pytest.FixtureRequest, folder: Path, clock: FakeClock) -> Iterator[tuple[Cache, Age]]:
    """The cache of the fixture's parameter, empty."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        cache: Cache = RedisCache(url, clock)
        age: Age = partial(let_redis_age, url)
    else:
        cache = SqliteCache(folder / "cache.db", clock)
        age = partial(_let_time_go_by, clock)
    yield cache, age
    cache.close()


def _let_time_go_by(clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds=seconds)


def let_redis_age(url: str, seconds: float) -> None:
    """Nobody turns the clock of a server: take the time from what every key has left."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            left_ms = client.pttl(key)
            client.pexpire(key, max(0, left_ms - round(seconds * 1000)))
