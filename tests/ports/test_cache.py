"""The conformance suite of caches: documents expire and can be invalidated, and no method raises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from renderctl.caches import Cache
from tests.caches import BOTH_CACHES, Age, open_cache
from tests.fakes import FakeClock


@pytest.fixture(params=BOTH_CACHES)
def aged(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Cache, Age]]:
    with open_cache(request, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def cache(aged: tuple[Cache, Age]) -> Cache:
    return aged[0]


@pytest.fixture
def age(aged: tuple[Cache, Age]) -> Age:
    return aged[1]


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


def test_a_document_is_forgotten_when_its_time_is_up(cache: Cache, age: Age) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=60)
    age(50)
    assert cache.get("job:1") == {"at": 5}
    age(11)
    assert cache.get("job:1") is None
    cache.put("job:1", {"at": 1}, version=1, ttl_s=60)
    assert cache.get("job:1") == {"at": 1}


def test_a_reader_may_want_a_document_that_is_young(cache: Cache, age: Age) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=600)
    assert cache.get("job:1", younger_than_s=20) == {"at": 5}
    age(21)
    assert cache.get("job:1", younger_than_s=20) is None
    assert cache.get("job:1", younger_than_s=200) == {"at": 5}
    assert cache.get("job:1") == {"at": 5}
    cache.put("job:1", {"at": 5}, version=5, ttl_s=600)
    assert cache.get("job:1", younger_than_s=20) == {"at": 5}


def test_versions_compare_as_numbers_however_large(cache: Cache) -> None:
    for version in (9, 10, 2**53 + 1, 2**53 + 2):
        cache.put("job:1", {"at": version}, version=version, ttl_s=60)
        assert cache.get("job:1") == {"at": version}
    cache.put("job:1", {"at": 11}, version=11, ttl_s=60)
    assert cache.get("job:1") == {"at": 2**53 + 2}


def test_of_writers_at_the_same_time_the_highest_version_stays(cache: Cache) -> None:
    def put(version: int) -> None:
        cache.put("job:1", {"at": version}, version=version, ttl_s=60)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, [*range(100, 0, -1), *range(1, 201)]))
    assert cache.get("job:1") == {"at": 200}


def test_many_documents_are_found_by_one_question(cache: Cache) -> None:
    for number in range(5):
        cache.put(f"attempt:{number}", {"at": number}, version=1, ttl_s=60)
    wanted = ["attempt:4", "attempt:none", "attempt:1"]
    assert cache.get_many(wanted) == {"attempt:4": {"at": 4}, "attempt:1": {"at": 1}}
    assert cache.get_many([]) == {}


def test_a_key_may_be_any_text(cache: Cache) -> None:
    for key in ("job:ü☂ %s {1}", "job:\udcff", "", "job:" + "x" * 5000, "job:a\0b\r\n"):
        cache.put(key, {"key": 1}, version=1, ttl_s=60)
        cache.append(key, b"text", at=0)
        assert (cache.get(key), cache.tail(key, 0)) == ({"key": 1}, (b"text", 4))
        cache.forget(key)
        assert cache.get(key) is None


def test_a_document_is_forgotten_when_asked(cache: Cache) -> None:
    cache.put("job:1", {"at": 5}, version=5, ttl_s=60)
    cache.put("job:2", {"at": 5}, version=5, ttl_s=60)
    cache.forget("job:1")
    cache.forget("job:3")
    assert (cache.get("job:1"), cache.get("job:2")) == (None, {"at": 5})


def test_a_follower_reads_a_log_piece_by_piece(cache: Cache) -> None:
    cache.append("log:1", b"Fra:1 ", at=0)
    text, offset = cache.tail("log:1", 0)
    assert (text, offset) == (b"Fra:1 ", 6)
    assert cache.tail("log:1", offset) == (b"", 6)
    cache.append("log:1", b"Mem:10M\n", at=6)
    cache.append("log:1", b"", at=14)
    cache.append("log:1", b"Saved\xff\n", at=14)
    assert cache.tail("log:1", offset) == (b"Mem:10M\nSaved\xff\n", 21)
    assert cache.tail("log:1", 19) == (b"\xff\n", 21)


def test_of_a_log_that_is_not_there_nothing_is_new(cache: Cache) -> None:
    assert cache.tail("log:1", 0) == (b"", 0)
    assert cache.tail("log:1", 500) == (b"", 500)
    cache.append("log:1", b"text", at=0)
    assert cache.tail("log:1", 500) == (b"", 500)


def test_what_is_added_again_is_there_once(cache: Cache) -> None:
    for text, at in ((b"0123", 0), (b"0123", 0), (b"234567", 2), (b"4", 4), (b"89", 8)):
        cache.append("log:1", text, at=at)
    assert cache.tail("log:1", 0) == (b"0123456789", 10)


def test_where_a_piece_was_lost_the_log_begins_with_the_next_one_and_offsets_stay_true(cache: Cache) -> None:
    cache.append("log:1", b"0123", at=0)
    cache.append("log:1", b"89", at=8)
    assert cache.tail("log:1", 4) == (b"89", 10)
    assert cache.tail("log:1", 0) == (b"89", 10)
    cache.append("log:1", b"ab", at=10)
    assert cache.tail("log:1", 9) == (b"9ab", 12)


def test_only_the_end_of_a_log_is_kept_and_offsets_stay_true(cache: Cache) -> None:
    for number in range(100):
        cache.append("log:1", b"line %03d\n" % number, at=9 * number, limit=50)
    text, offset = cache.tail("log:1", 0)
    assert text == b"".join(b"line %03d\n" % number for number in range(100))[-50:]
    assert offset == 900
    assert cache.tail("log:1", 891) == (b"line 099\n", 900)


def test_a_piece_beyond_the_limit_is_kept_by_its_end(cache: Cache) -> None:
    cache.append("log:1", b"before", at=0, limit=10)
    cache.append("log:1", b"0123456789abcdef", at=6, limit=10)
    assert cache.tail("log:1", 0) == (b"6789abcdef", 22)


def test_a_log_whose_time_is_up_goes_on_with_what_comes_next(cache: Cache, age: Age) -> None:
    cache.append("log:1", b"a long log that will be forgotten", at=0, ttl_s=60)
    age(61)
    assert cache.tail("log:1", 0) == (b"", 0)
    cache.append("log:1", b"more", at=33)
    assert cache.tail("log:1", 0) == (b"more", 37)


def test_a_log_lives_on_while_it_grows(cache: Cache, age: Age) -> None:
    for number in range(3):
        cache.append("log:1", b"x", at=number, ttl_s=60)
        age(50)
    assert cache.tail("log:1", 0) == (b"xxx", 3)


def test_documents_and_logs_of_one_key_are_apart(cache: Cache) -> None:
    cache.put("1", {"at": 1}, version=1, ttl_s=60)
    cache.append("1", b"log", at=0)
    cache.forget("1")
    assert (cache.get("1"), cache.tail("1", 0)) == (None, (b"log", 3))


def test_check_says_what_and_where_it_is(cache: Cache) -> None:
    assert cache.check().startswith(("SQLite file ", "Redis "))
