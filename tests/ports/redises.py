"""What a cache on a Redis is asked to do, and what it says when it can not."""

import pytest

from renderctl.caches import Cache
from renderctl.core.errors import Unreachable


def used(cache: Cache, times: int = 1) -> None:
    """Everything that a cache can do, while it is away."""
    for _ in range(times):
        cache.put("job:1", {"at": 1}, version=1, ttl_s=60)
        assert cache.get("job:1") is None
        assert cache.get("job:1", younger_than_s=2) is None
        assert cache.get_many(["job:1"]) == {}
        cache.append("log:1", b"text", at=0)
        assert cache.tail("log:1", 7) == (b"", 7)
        cache.forget("job:1")


def works(cache: Cache) -> bool:
    cache.put("job:1", {"at": 1}, version=1, ttl_s=60)
    cache.append("log:1", b"text", at=0)
    return cache.get("job:1") == {"at": 1} and cache.tail("log:1", 0) == (b"text", 4)


def complaint(cache: Cache) -> str:
    """What is wrong and what to do, as a person reads it."""
    with pytest.raises(Unreachable) as caught:
        cache.check()
    assert caught.value.hint
    return f"{caught.value.message} {caught.value.hint}"
