"""What is special about a cache in a file: other processes, damage, and a disk that cannot be written to."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from renderctl.caches import Cache
from renderctl.caches.sqlite import SqliteCache
from renderctl.core.clocks import SystemClock
from renderctl.core.errors import Unreachable
from tests.fakes import FakeClock


def used(cache: Cache) -> None:
    cache.put("job:1", {"at": 1}, version=1, ttl_s=60)
    cache.append("log:1", b"text", at=0)
    cache.forget("job:2")


@pytest.mark.slow
def test_another_process_reads_what_this_one_put(tmp_path: Path) -> None:
    cache = SqliteCache(tmp_path / "cache.db", SystemClock())
    used(cache)
    script = (
        "import sys; from pathlib import Path; from renderctl.core.clocks import SystemClock\n"
        "from renderctl.caches.sqlite import SqliteCache\n"
        "cache = SqliteCache(Path(sys.argv[1]), SystemClock())\n"
        "print(cache.get('job:1'), cache.tail('log:1', 0))\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "cache.db")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said == "{'at': 1} (b'text', 4)\n"
    cache.close()


def test_a_damaged_file_is_replaced_by_an_empty_one(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "cache.db").write_bytes(b"this is not a database" * 1000)
    cache = SqliteCache(tmp_path / "cache.db", clock)
    assert cache.get("job:1") is None
    used(cache)
    assert cache.get("job:1") == {"at": 1}
    cache.close()


def test_damage_in_the_middle_is_noticed_and_mended(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "cache.db"
    cache = SqliteCache(path, clock)
    for number in range(200):
        cache.put(f"job:{number}", {"text": "x" * 500}, version=1, ttl_s=60)
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    for number in range(200):
        assert cache.get(f"job:{number}") in (None, {"text": "x" * 500})
    used(cache)
    assert cache.get("job:1") == {"at": 1}
    cache.close()


def test_a_file_that_was_removed_under_it_is_made_again(tmp_path: Path, clock: FakeClock) -> None:
    one, two = (SqliteCache(tmp_path / "cache.db", clock) for _ in range(2))
    used(one)
    for file in tmp_path.glob("cache.db*"):
        file.unlink()
    assert one.get("job:1") is None
    two.put("job:1", {"at": 2}, version=2, ttl_s=60)
    assert one.get("job:1") == {"at": 2}
    one.close()
    two.close()


def test_a_place_that_can_not_be_written_is_a_cache_that_is_away(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").touch()
    cache = SqliteCache(tmp_path / "file/cache.db", clock)
    used(cache)
    assert (cache.get("job:1"), cache.tail("log:1", 7)) == (None, (b"", 7))
    with pytest.raises(Unreachable, match="cannot be used"):
        cache.check()
    cache.close()


def test_a_writer_that_holds_the_file_for_long_costs_a_write_and_no_more(tmp_path: Path, clock: FakeClock) -> None:
    cache = SqliteCache(tmp_path / "cache.db", clock, busy_timeout_s=0.1)
    used(cache)
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put("job:1", {"at": 2}, version=2, ttl_s=60)
    assert cache.get("job:1") == {"at": 1}
    other.execute("ROLLBACK")
    other.close()
    cache.put("job:1", {"at": 3}, version=3, ttl_s=60)
    assert cache.get("job:1") == {"at": 3}
    cache.close()


def test_what_has_expired_is_removed_now_and_then(tmp_path: Path, clock: FakeClock) -> None:
    cache = SqliteCache(tmp_path / "cache.db", clock)
    for number in range(10):
        cache.put(f"job:{number}", {}, version=1, ttl_s=60)
        cache.append(f"log:{number}", b"text", at=0, ttl_s=60)
    clock.advance(seconds=100)
    cache.put("job:new", {}, version=1, ttl_s=60)
    other = sqlite3.connect(tmp_path / "cache.db")
    counts = [other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("copies", "logs", "pieces")]
    other.close()
    assert counts == [1, 0, 0]
    cache.close()
