"""Hashes of files are remembered, and never for a file that is not the same any more."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from renderctl.core.errors import FileChanged, InvalidInput, SceneNotFound
from renderctl.farm import Farm, Progress
from renderctl.farm.models.file_hashes import hash_file, hash_files
from tests.fakes import FakeClock
from tests.farms import close, make_farm


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A farm for which it is now, until the test says otherwise."""
    made = make_farm(tmp_path, clock=FakeClock(datetime.now(UTC)))
    yield made
    close(made)


@pytest.fixture
def read(farm: Farm) -> Callable[..., list[int]]:
    """Hash the files, check the answer, and say how many had to be read."""

    def hashing(*sources: Path) -> list[int]:
        steps: list[Progress] = []
        hashed = hash_files(farm, sources, steps.append)
        assert {source: each.digest for source, each in hashed.items()} == {
            source: hashlib.sha256(source.read_bytes()).hexdigest() for source in sources
        }
        assert {source: each.size for source, each in hashed.items()} == {
            source: source.stat().st_size for source in sources
        }
        return [each.done for each in steps]

    return hashing


def given_settled(farm: Farm, *files: Path, content: bytes = b"one") -> None:
    """Files that were changed long enough ago for their hashes to be remembered."""
    for file in files:
        file.write_bytes(content)
    farm.clock.wait(None, 10)


def test_what_did_not_change_is_not_read_again(farm: Farm, tmp_path: Path, read: Callable[..., list[int]]) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    given_settled(farm, a, b)
    assert read(a, b) == [1, 2]
    assert read(a, b) == []
    b.write_bytes(b"two")
    assert read(a, b) == [2]


def test_a_change_that_hides_behind_the_old_time_and_size_is_seen(
    farm: Farm, tmp_path: Path, read: Callable[..., list[int]]
) -> None:
    file = tmp_path / "a"
    given_settled(farm, file)
    was = file.stat()
    assert read(file) == [1]
    file.write_bytes(b"two")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert read(file) == [1]


def test_another_file_in_its_place_is_seen(farm: Farm, tmp_path: Path, read: Callable[..., list[int]]) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    given_settled(farm, file, other)
    read(file)
    other.write_bytes(b"two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert read(file) == [1]


def test_what_has_just_been_changed_is_not_remembered(
    farm: Farm, tmp_path: Path, read: Callable[..., list[int]]
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    assert read(file) == [1]
    assert read(file) == [1]


def test_a_memory_that_can_not_be_used_costs_time_only(
    farm: Farm, tmp_path: Path, read: Callable[..., list[int]]
) -> None:
    file = tmp_path / "a"
    given_settled(farm, file)
    memory = farm.settings.data_dir / "hashes.db"
    memory.write_bytes(b"this is not a database, and long enough to look like one" * 100)
    assert read(file) == [1]
    assert read(file) == []
    memory.unlink()
    memory.mkdir()
    assert read(file) == [1]


def test_a_name_that_is_not_text_is_remembered_as_well(
    farm: Farm, tmp_path: Path, read: Callable[..., list[int]]
) -> None:
    file = tmp_path / os.fsdecode(b"caf\xe9")
    given_settled(farm, file)
    assert read(file) == [1]
    assert read(file) == []


def test_a_file_that_is_gone_is_named(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    with pytest.raises(SceneNotFound, match="gone"):
        hash_files(farm, [tmp_path / "here", tmp_path / "gone.png"])
    with pytest.raises(InvalidInput, match="directory"):
        hash_files(farm, [tmp_path])


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "growing.exr"
    file.write_bytes(bytes(64 << 20))
    written, enough = threading.Event(), threading.Event()

    def write() -> None:
        with file.open("r+b", buffering=0) as writing:
            while not enough.is_set():
                writing.write(b"more")
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        written.wait(10)
        with pytest.raises(FileChanged, match=r"growing\.exr") as caught:
            hash_file(file)
    finally:
        enough.set()
        writer.join()
    assert "again" in (caught.value.hint or "")
