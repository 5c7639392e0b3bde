"""What is special about a store in a folder: full and unwritable disks, killed writers, damage."""

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from renderctl.core.errors import DigestMismatch, OutputNotWritable, StoreUnavailable
from renderctl.stores.local import LocalStore
from tests.farms import log_of
from tests.lacking import lacking
from tests.ports.test_executor import until

BYTES = b"A cube, a light and a camera. " * 1000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(BYTES)
    return path


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small file system of its own, where this user may mount one."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "renderctl-test", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            lacking("needs the right to mount a small disk: run it as root")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def sizes(folder: Path) -> list[int]:
    found = []
    for path in files(folder):
        with suppress(FileNotFoundError):
            found.append(path.stat().st_size)
    return found


def test_a_blob_can_not_be_written_again(tmp_path: Path, source: Path) -> None:
    LocalStore(tmp_path / "store").put(source, DIGEST)
    (blob,) = files(tmp_path / "store")
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444
    assert blob == tmp_path / "store/blobs" / DIGEST[:2] / DIGEST[2:]


def test_damage_is_found_when_a_blob_is_got(tmp_path: Path, source: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(source, DIGEST)
    (blob,) = files(tmp_path / "store")
    blob.chmod(0o644)
    blob.write_bytes(BYTES[:-1] + b"!")
    with pytest.raises(DigestMismatch, match="damaged"):
        store.get(DIGEST, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_blob_that_was_cut_short_is_put_again(tmp_path: Path, source: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(source, DIGEST)
    (blob,) = files(tmp_path / "store")
    blob.chmod(0o644)
    os.truncate(blob, 10)
    store.put(source, DIGEST)
    store.get(DIGEST, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_a_refused_file_leaves_nothing_behind(tmp_path: Path, source: Path) -> None:
    with pytest.raises(DigestMismatch):
        LocalStore(tmp_path / "store").put(source, "0" * 64)
    assert files(tmp_path / "store") == []


WRITER = """
import sys
from pathlib import Path
from renderctl.stores.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
print("ready", flush=True)
store.put(Path(sys.argv[2]), sys.argv[3])
print("put", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.7])
def test_a_writer_that_is_killed_leaves_a_whole_blob_or_none(tmp_path: Path, share: float) -> None:
    content = os.urandom(1 << 20) * 24
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "source").write_bytes(content)
    argv = [sys.executable, "-c", WRITER, str(tmp_path / "store"), str(tmp_path / "source"), digest]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
        assert until(lambda: any(size >= share * len(content) for size in sizes(tmp_path / "store")))
        writer.send_signal(signal.SIGKILL)
    store = LocalStore(tmp_path / "store")
    if digest not in store.missing({digest}):
        store.get(digest, tmp_path / "got")
    store.put(tmp_path / "source", digest)
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


def test_what_dead_writers_left_is_swept_and_what_is_young_is_not(tmp_path: Path, source: Path) -> None:
    incoming = tmp_path / "store/incoming"
    incoming.mkdir(parents=True)
    for name, age_s in (("old.part", 3700), ("young.part", 60)):
        (incoming / name).touch()
        os.utime(incoming / name, (time.time() - age_s,) * 2)
    LocalStore(tmp_path / "store").put(source, DIGEST)
    assert [part.name for part in incoming.iterdir()] == ["young.part"]


def test_a_full_disk_is_said_to_be_full(mounted: Callable[[str], Path], tmp_path: Path) -> None:
    store = LocalStore(mounted("size=1m") / "store")
    store.check()
    big = tmp_path / "big"
    big.write_bytes(os.urandom(2 << 20))
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    with pytest.raises(StoreUnavailable, match="No space left") as caught:
        store.put(big, digest)
    assert "full" in (caught.value.hint or "")
    assert files(store.root) == []
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.put_log("attempt", [big.read_bytes()])


def test_an_output_folder_that_gets_full_is_not_the_stores_fault(
    mounted: Callable[[str], Path], tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(2 << 20))
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    store = LocalStore(tmp_path / "store")
    store.put(big, digest)
    folder = mounted("size=1m")
    with pytest.raises(OutputNotWritable, match="No space left"):
        store.get(digest, folder / "got")
    assert files(folder) == []


def test_a_file_that_may_not_get_so_large_leaves_nothing_behind(tmp_path: Path, source: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.check()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreUnavailable, match="too large"):
            store.put(source, DIGEST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path / "store") == []


def test_a_read_only_disk_is_said_to_be_so(mounted: Callable[[str], Path], source: Path) -> None:
    store = LocalStore(mounted("ro") / "store")
    for use in (lambda: store.put(source, DIGEST), lambda: store.put_log("attempt", [b""]), store.check):
        with pytest.raises(StoreUnavailable, match="Read-only"):
            use()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_someone_else_is_said_to_be_so(tmp_path: Path, source: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o555)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        LocalStore(tmp_path / "theirs/store").put(source, DIGEST)


def test_a_root_that_is_a_file_is_said_to_be_so(tmp_path: Path, source: Path) -> None:
    with pytest.raises(StoreUnavailable, match=str(source)):
        LocalStore(source / "store").check()


def test_a_disk_that_went_away_is_out_of_reach_and_not_empty(tmp_path: Path, source: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(source, DIGEST)
    (tmp_path / "store").rename(tmp_path / "unplugged")
    uses = (
        lambda: store.missing({DIGEST}),
        lambda: store.get(DIGEST, tmp_path / "got"),
        lambda: log_of(store, "attempt"),
        lambda: store.put(source, DIGEST),
    )
    for use in uses:
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert "mounted" in (caught.value.hint or "")
    assert not (tmp_path / "store").exists()
