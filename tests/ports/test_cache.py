"""What every cache does: answers quickly, forgets when asked and when time is up, and never raises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.caches import Cache
from renderctl.caches.sqlite import SqliteCache
from tests.fakes import FakeClock


@pytest.fixture(params=["sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Cache]:
    cache = SqliteCache(tmp_path / "cache.db", clock)
    yield cache
    cache.close()


def test_a_document_is_found_as_it_was_put(cache: Cache) -> None:
    document = {"state": "running", "tasks": {"total": 240}, "eta": None, "share": 0.154, "name": "naïve ☂"}
    cache.put("job:1", document, version=1, ttl_s=60)
    assert cache.get("job:1") == document
    assert cache.get("job:2") is None


def test_an_older_version_does_not_replace_a_newer_one(cache: Cache) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=60)
    cache.put("job:1", {"at": 4}, version=4, ttl_s=60)
    assert cache.get("job:1") == {"at": 5}
    cache.put("job:1", {"at": "5 again"}, version=5, ttl_s=60)
    assert cache.get("job:1") == {"at": "5 again"}
    cache.put("job:1", {"at": 6}, version=6, ttl_s=60)
    assert cache.get("job:1") == {"at": 6}


def test_a_document_is_forgotten_when_its_time_is_up(cache: Cache, clock: FakeClock) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=60)
    clock.advance(seconds=59)
    assert cache.get("job:1") == {"at": 5}
    clock.advance(seconds=2)
    assert cache.get("job:1") is None
    cache.put("job:1", {"at": 1}, version=1, ttl_s=60)
    assert cache.get("job:1") == {"at": 1}


def test_a_document_is_forgotten_when_asked(cache: Cache) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=60)
    cache.put("job:2", {"at": 5}, version=5, ttl_s=60)
    cache.forget("job:1")
    cache.forget("job:3")
    assert (cache.get("job:1"), cache.get("job:2")) == (None, {"at": 5})


def test_a_follower_reads_a_log_piece_by_piece(cache: Cache) -> None:
    cache.append("log:1", b"Fra:1 ")
    text, offset = cache.tail("log:1", 0)
    assert (text, offset) == (b"Fra:1 ", 6)
    assert cache.tail("log:1", offset) == (b"", 6)
    cache.append("log:1", b"Mem:10M\n")
    cache.append("log:1", b"")
    cache.append("log:1", b"Saved\xff\n")
    assert cache.tail("log:1", offset) == (b"Mem:10M\nSaved\xff\n", 21)
    assert cache.tail("log:1", 19) == (b"\xff\n", 21)


def test_a_log_that_is_not_there_is_empty(cache: Cache) -> None:
    assert cache.tail("log:1", 0) == (b"", 0)
    assert cache.tail("log:1", 500) == (b"", 0)


def test_only_the_end_of_a_log_is_kept_and_offsets_stay_true(cache: Cache) -> None:
    for number in range(100):
        cache.append("log:1", b"line %03d\n" % number, limit=50)
    text, offset = cache.tail("log:1", 0)
    assert text == b"".join(b"line %03d\n" % number for number in range(100))[-50:]
    assert offset == 900
    assert cache.tail("log:1", 891) == (b"line 099\n", 900)


def test_a_piece_beyond_the_limit_is_kept_by_its_end(cache: Cache) -> None:
    cache.append("log:1", b"before", limit=10)
    cache.append("log:1", b"0123456789abcdef", limit=10)
    assert cache.tail("log:1", 0) == (b"6789abcdef", 22)


def test_one_who_read_further_than_a_log_that_began_anew_reads_it_from_its_begin(
    cache: Cache, clock: FakeClock
) -> None:
    cache.append("log:1", b"a long log that will be forgotten", ttl_s=60)
    _, offset = cache.tail("log:1", 0)
    clock.advance(seconds=61)
    assert cache.tail("log:1", offset) == (b"", 0)
    cache.append("log:1", b"anew")
    assert cache.tail("log:1", offset) == (b"anew", 4)


def test_a_log_lives_on_while_it_grows(cache: Cache, clock: FakeClock) -> None:
    for _ in range(3):
        cache.append("log:1", b"x", ttl_s=60)
        clock.advance(seconds=50)
    assert cache.tail("log:1", 0) == (b"xxx", 3)


def test_documents_and_logs_of_one_key_are_apart(cache: Cache) -> None:
    cache.put("1", {"at": 1}, version=1, ttl_s=60)
    cache.append("1", b"log")
    cache.forget("1")
    assert (cache.get("1"), cache.tail("1", 0)) == (None, (b"log", 3))


def test_check_says_what_and_where_it_is(cache: Cache) -> None:
    assert "cache" in cache.check()
