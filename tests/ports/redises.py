"""Uses of a cache, and the error text of one that is out of reach."""

import pytest

from renderctl.caches import Cache
from renderctl.core.errors import Unreachable


def used(cache: Cache, times: int = 1) -> None:
    """Call every method of a cache that is out of reach."""
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


def error_text(cache: Cache) -> str:
    """Return message and hint of `check`, as the user reads them."""
    with pytest.raises(Unreachable) as caught:
        cache.check()
    assert caught.value.hint
    return f"{caught.value.message} {caught.value.hint}"
