"""What the embedded farm keeps on this machine is its owner's alone."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.private_files import make_private
from renderctl.core.settings import Settings
from renderctl.repository.database.engine import open_engine
from renderctl.wiring.ports import Closable, open_farm

#: Another process that wants to write, and is not to wait.
WRITER = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def given_farm(folder: Path) -> list[Closable]:
    """An embedded farm that has done something; what is to be closed."""
    opened: list[Closable] = []
    farm = open_farm(Settings(folder), opened)
    farm.repository.time()
    farm.queue.get(("default",), 0.0)
    farm.cache.get("none")
    return opened


def test_the_databases_of_a_new_farm_and_their_folder_are_their_owners_alone(tmp_path: Path) -> None:
    opened = given_farm(tmp_path / "made" / "data")
    kept = {path.name: mode(path) for path in (tmp_path / "made" / "data").glob("*.db*")}
    assert {"renderctl.db", "renderctl.db-wal", "renderctl.db-shm", "queue.db", "cache.db"} <= set(kept)
    assert set(kept.values()) == {0o600}
    assert mode(tmp_path / "made" / "data") == 0o700
    for port in opened:
        port.close()


def test_a_database_that_others_could_read_is_closed_to_them_and_its_folder_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "renderctl.db"
    with sqlite3.connect(path) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.execute("CREATE TABLE note (id INTEGER)")
        old.commit()
        files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
        assert {mode(file) for file in files} == {0o644}
        engine = open_engine(f"sqlite:///{path}")
        engine.connect().close()
        assert {mode(item) for item in files} == {0o600}
        engine.dispose()
    old.close()
    assert mode(tmp_path) == 0o755


def test_closing_a_database_to_others_takes_no_lock_away(tmp_path: Path) -> None:
    path = tmp_path / "renderctl.db"
    with sqlite3.connect(path, isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        make_private(path)
        writing = [sys.executable, "-c", WRITER, str(path)]
        writer = subprocess.run(writing, capture_output=True, text=True, check=False)
        assert "database is locked" in writer.stderr
        holder.execute("ROLLBACK")
    holder.close()
