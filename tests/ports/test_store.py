"""The conformance suite of stores: blobs are atomic, immutable and found by digest; logs are kept."""

import hashlib
import random
import shutil
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from renderctl.core.errors import DigestMismatch, InvalidInput, NotStored, OutputNotWritable
from renderctl.stores import Store
from renderctl.stores.local import LocalStore
from renderctl.stores.minio import MinioStore
from tests.farms import log_of
from tests.ports.test_executor import until

Given = Callable[[bytes], tuple[Path, str]]

LARGE = random.Random(7).randbytes((32 << 20) + 1)
BYTES = b"A cube, a light and a camera. " * 10_000


@pytest.fixture(params=["local", pytest.param("minio", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "store") if request.param == "local" else MinioStore(request.getfixturevalue("s3"))


@pytest.fixture
def given_file(tmp_path: Path) -> Given:
    def make(content: bytes) -> tuple[Path, str]:
        digest = hashlib.sha256(content).hexdigest()
        path = tmp_path / f"source-{digest[:8]}"
        path.write_bytes(content)
        return path, digest

    return make


@pytest.mark.parametrize("content", [b"", b"x", BYTES, bytes(3 << 20), bytes((2 << 20) + 1), LARGE], ids=len)
def test_what_was_put_is_got_byte_for_byte(store: Store, given_file: Given, tmp_path: Path, content: bytes) -> None:
    path, digest = given_file(content)
    store.put(path, digest)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


def test_putting_again_changes_nothing(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    store.put(path, digest)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


@pytest.mark.parametrize("content", [BYTES, LARGE], ids=len)
def test_what_is_to_be_replaced_is_sent_though_it_is_there(
    store: Store, given_file: Given, tmp_path: Path, content: bytes
) -> None:
    path, digest = given_file(content)
    store.put(path, digest)
    assert store.put(path, digest, replace=True)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


def test_a_file_that_is_not_what_was_promised_is_refused(store: Store, given_file: Given) -> None:
    path, digest = given_file(BYTES)
    path.write_bytes(BYTES[:-1] + b"!")
    with pytest.raises(DigestMismatch):
        store.put(path, digest)
    assert store.missing({digest}) == {digest}


@pytest.mark.parametrize("content", [BYTES, LARGE], ids=["small", "in parts"])
def test_a_wrong_file_is_refused_under_the_digest_of_a_blob_that_is_there(
    store: Store, given_file: Given, tmp_path: Path, content: bytes
) -> None:
    path, digest = given_file(content)
    store.put(path, digest)
    path.write_bytes(bytes(len(content)))
    with pytest.raises(DigestMismatch):
        store.put(path, digest)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


def test_a_file_that_is_gone_is_refused(store: Store, given_file: Given) -> None:
    path, digest = given_file(BYTES)
    path.unlink()
    with pytest.raises(DigestMismatch, match=path.name):
        store.put(path, digest)
    assert store.missing({digest}) == {digest}


def test_a_blob_that_is_not_there_is_not_stored(store: Store, tmp_path: Path) -> None:
    (tmp_path / "got").write_bytes(b"before")
    with pytest.raises(NotStored):
        store.get("0" * 64, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"before"


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64 + "\n"])
def test_a_name_that_is_no_digest_is_refused(store: Store, given_file: Given, tmp_path: Path, name: str) -> None:
    path, _ = given_file(BYTES)
    with pytest.raises(InvalidInput):
        store.put(path, name)
    with pytest.raises(InvalidInput):
        store.get(name, tmp_path / "got")
    with pytest.raises(InvalidInput):
        store.missing({name})


def test_getting_replaces_what_stood_there(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    (tmp_path / "got").write_bytes(b"longer than before " * 100_000)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_a_file_that_was_got_may_be_changed_without_harm(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    store.get(digest, tmp_path / "got")
    (tmp_path / "got").write_bytes(b"changed")
    path.write_bytes(b"changed too")
    store.get(digest, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == BYTES


def test_a_target_that_can_not_be_written_is_not_the_stores_fault(
    store: Store, given_file: Given, tmp_path: Path
) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritable):
        store.get(digest, tmp_path / "file" / "got")


def test_a_get_leaves_nothing_but_its_file(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    (tmp_path / "out").mkdir()
    store.get(digest, tmp_path / "out" / "got")
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["got"]


@pytest.mark.parametrize(("start", "end"), [(0, None), (5, 9), (20 << 20, (20 << 20) + 3), ((32 << 20), None), (7, 7)])
def test_any_part_of_a_blob_can_be_read(store: Store, given_file: Given, start: int, end: int | None) -> None:
    path, digest = given_file(LARGE)
    store.put(path, digest)
    pieces = list(store.read(digest, start, end))
    assert b"".join(pieces) == LARGE[start:end]
    assert max(map(len, pieces), default=0) <= 8 << 20


def test_a_blob_that_is_not_there_can_not_be_read(store: Store) -> None:
    with pytest.raises(NotStored):
        next(store.read("0" * 64))


def test_an_empty_blob_is_read_as_nothing(store: Store, given_file: Given) -> None:
    store.put(*given_file(b""))
    assert b"".join(store.read(hashlib.sha256(b"").hexdigest())) == b""


def test_it_says_how_much_room_it_has_or_that_nobody_knows(store: Store, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free if isinstance(store, LocalStore) else None
    assert (store.free_bytes() is None) == (free is None)
    assert free is None or abs((store.free_bytes() or 0) - free) < 1 << 30


def test_missing_are_those_that_are_not_there(store: Store, given_file: Given) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    assert store.missing({digest, "a" * 64, "b" * 64}) == {"a" * 64, "b" * 64}
    assert store.missing(set()) == set()


def test_many_writers_of_one_blob_do_not_disturb_each_other(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES * 10)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            store.put(path, digest)
        except BaseException as error:
            failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES * 10


def test_an_address_leads_to_the_blob(store: Store, given_file: Given) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    with urllib.request.urlopen(store.url(digest, "Kamera 1-0001 ☂.png", 60.0), timeout=20) as answer:
        assert answer.read() == BYTES


def test_a_log_replaces_an_earlier_one(store: Store) -> None:
    store.put_log("attempt-1", [b"Fra:1\n"])
    store.put_log("attempt-1", [b"Fra:1\nSaved\xff\n"])
    store.put_log("attempt-2", [b""])
    assert log_of(store, "attempt-1") == b"Fra:1\nSaved\xff\n"
    assert log_of(store, "attempt-2") == b""


@pytest.mark.parametrize("size", [0, 5 << 20, (8 << 20) - 1, 8 << 20, (17 << 20) + 3])
def test_a_log_comes_and_goes_in_pieces(store: Store, size: int) -> None:
    text = BYTES[: 1 << 16].ljust(1 << 16, b".") * (size >> 16) + b"x" * (size % (1 << 16))
    store.put_log("attempt", (text[start : start + 99_999] for start in range(0, size, 99_999)))
    assert store.log_size("attempt") == size
    pieces = list(store.read_log("attempt"))
    assert b"".join(pieces) == text
    assert max(map(len, pieces), default=0) <= 8 << 20
    for start, end in ((0, 10), (size // 2, size // 2 + 3_000_000), (max(0, size - 5), None), (size, size + 9)):
        assert b"".join(store.read_log("attempt", start, end)) == text[start:end]
    assert [(log.attempt_id, log.size) for log in store.logs()] == [("attempt", size)]


def test_a_log_whose_pieces_end_in_an_error_stays_what_it_was(store: Store) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("the file is gone")

    store.put_log("attempt", [b"old"])
    with pytest.raises(ValueError, match="the file is gone"):
        store.put_log("attempt", pieces())
    assert log_of(store, "attempt") == b"old"


def test_a_log_that_was_never_put_is_none(store: Store) -> None:
    assert log_of(store, "attempt-1") is None


def test_the_name_of_a_log_is_a_name_and_not_a_path(store: Store) -> None:
    store.put_log("../../escape", [b"one"])
    store.put_log("..", [b"two"])
    assert (log_of(store, "../../escape"), log_of(store, "..")) == (b"one", b"two")


def test_every_blob_is_listed_in_the_order_of_the_digests(store: Store, given_file: Given) -> None:
    sizes = {}
    for number in range(30):
        path, digest = given_file(BYTES[: number * 7])
        store.put(path, digest)
        sizes[digest] = number * 7
    listed = list(store.blobs())
    assert [item.digest for item in listed] == sorted(sizes)
    assert {entry.digest: entry.size for entry in listed} == sizes
    assert all(0 <= element.age_s < 600 for element in listed)


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(store.blobs()) == []
    assert list(store.logs()) == []


@pytest.mark.slow
def test_to_put_a_blob_again_makes_it_young_again(store: Store, given_file: Given) -> None:
    path, digest = given_file(BYTES)
    store.put(path, digest)
    assert until(lambda: next(store.blobs()).age_s >= 2.0, 20)
    store.put(path, digest)
    assert next(store.blobs()).age_s < 2.0


def test_what_was_removed_is_gone_and_may_be_put_again(store: Store, given_file: Given, tmp_path: Path) -> None:
    path, digest = given_file(BYTES)
    other_path, other = given_file(b"stays")
    store.put(path, digest)
    store.put(other_path, other)
    store.remove({digest, "a" * 64})
    assert store.missing({digest, other}) == {digest}
    with pytest.raises(NotStored):
        store.get(digest, tmp_path / "got")
    store.put(path, digest)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_to_remove_nothing_is_no_error(store: Store) -> None:
    store.remove([])
    store.remove_logs([])


def test_a_name_that_is_no_digest_is_not_removed(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.remove({"../../etc/passwd"})


def test_logs_are_listed_and_removed(store: Store) -> None:
    for name in ("attempt-1", "../../escape", "attempt-3"):
        store.put_log(name, [b"Fra:1\n"])
    listed = {log.attempt_id: log for log in store.logs()}
    assert set(listed) == {"attempt-1", "../../escape", "attempt-3"}
    assert all(item.size == 6 and 0 <= item.age_s < 600 for item in listed.values())
    store.remove_logs({"attempt-1", "../../escape", "attempt-4"})
    assert [entry.attempt_id for entry in store.logs()] == ["attempt-3"]
    assert log_of(store, "attempt-1") is None


def test_check_says_what_and_where_it_is(store: Store) -> None:
    assert "store" in store.check()
