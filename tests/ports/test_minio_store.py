"""What is special about a store in a bucket: large files in parts, killed writers, damage."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from minio import Minio

from renderctl.core.errors import DigestMismatch, NotStored
from renderctl.core.settings import StoreSettings
from renderctl.stores.minio import MinioStore
from renderctl.stores.minio.bucket import Bucket
from tests.ports.test_executor import until

BYTES = b"A cube, a light and a camera. " * 1000
DIGEST = hashlib.sha256(BYTES).hexdigest()
pytestmark = pytest.mark.services


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(BYTES)
    return path


def test_damage_is_found_when_a_blob_is_got(s3: StoreSettings, source: Path, tmp_path: Path) -> None:
    store = MinioStore(s3)
    store.put(source, DIGEST)
    for damaged in (BYTES[:-1] + b"!", BYTES[:-1], b""):
        raw(s3).put_object(s3.bucket, f"blobs/{DIGEST[:2]}/{DIGEST[2:]}", io.BytesIO(damaged), len(damaged))
        with pytest.raises(DigestMismatch, match="damaged"):
            store.get(DIGEST, tmp_path / "got")
    store.put(source, DIGEST)
    store.get(DIGEST, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_a_large_blob_that_is_there_is_not_sent_again(s3: StoreSettings, tmp_path: Path) -> None:
    source, digest = given_large(tmp_path)
    store = MinioStore(s3)
    assert store.put(source, digest)
    assert not store.put(source, digest)
    source.write_bytes(bytes(1 << 24))
    with pytest.raises(DigestMismatch, match=source.name):
        store.put(source, digest)


def test_a_large_file_that_changed_leaves_nothing_to_be_seen(s3: StoreSettings, tmp_path: Path) -> None:
    source, digest = given_large(tmp_path)
    with source.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    store = MinioStore(s3)
    with pytest.raises(DigestMismatch, match=source.name):
        store.put(source, digest)
    assert list(store.blobs()) == []
    assert unfinished(s3) == 0


WRITER = """
import sys
import urllib.request
from pathlib import Path
from renderctl.core.settings import StoreSettings
from renderctl.stores.minio import MinioStore
endpoint, access_key, secret_key, bucket, source, digest = sys.argv[1:]
MinioStore(StoreSettings("minio", endpoint, access_key, secret_key, bucket, secure=False)).put(Path(source), digest)
"""


def test_a_writer_that_is_killed_leaves_no_half_blob(s3: StoreSettings, tmp_path: Path) -> None:
    source, digest = given_large(tmp_path, megabytes=128)
    argv = [s3.endpoint, s3.access_key, s3.secret_key, s3.bucket, str(source), digest]
    store = MinioStore(s3)
    store.check()
    with subprocess.Popen([sys.executable, "-c", WRITER, *map(str, argv)]) as writer:
        assert until(lambda: unfinished(s3) > 0, 60)
        writer.send_signal(signal.SIGKILL)
    assert store.missing({digest}) == {digest}
    assert list(store.blobs()) == []
    store.check()
    assert unfinished(s3) == 1  # its writer could be alive still
    assert store.put(source, digest)
    store.get(digest, tmp_path / "got")
    assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == digest


def test_what_a_dead_writer_left_is_forgotten_after_a_day(s3: StoreSettings, tmp_path: Path) -> None:
    MinioStore(s3).check()
    bucket = Bucket(raw(s3), s3.bucket)  # type: ignore[arg-type]
    raw(s3)._create_multipart_upload(s3.bucket, "blobs/ab/cd", {})
    now = datetime.now(UTC)
    bucket.abort_uploads(before=now - timedelta(minutes=1))
    assert unfinished(s3) == 1
    bucket.abort_uploads(before=now + timedelta(minutes=1))
    assert unfinished(s3) == 0


def test_many_processes_may_make_the_bucket_at_once(s3: StoreSettings) -> None:
    stores = [MinioStore(s3) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(MinioStore.check, stores))) == 1


def given_large(folder: Path, megabytes: int = 20) -> tuple[Path, str]:
    source = folder / "large"
    source.write_bytes(os.urandom(1 << 20) * megabytes)
    return source, hashlib.sha256(source.read_bytes()).hexdigest()


def raw(settings: StoreSettings) -> Minio:
    return Minio(settings.endpoint or "", settings.access_key, settings.secret_key, secure=settings.secure)


def unfinished(settings: StoreSettings) -> int:
    """Uploads in parts that were begun and neither completed nor given up."""
    return len(raw(settings)._list_multipart_uploads(settings.bucket).uploads)


def put_at(url: str, content: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, content, method="PUT")) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("content", [b"small", bytes(9 << 20)], ids=len)
def test_what_somebody_has_put_at_its_address_becomes_a_blob(s3: StoreSettings, tmp_path: Path, content: bytes) -> None:
    store, digest = MinioStore(s3), hashlib.sha256(content).hexdigest()
    put_at(store.staging_url("ada", len(content), 60.0) or "", content)
    assert store.missing({digest}) == {digest}
    store.promote("ada", digest, len(content))
    store.get(digest, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content
    with pytest.raises(NotStored):
        store.promote("ada", digest, len(content))


@pytest.mark.parametrize("content", [b"", b"12345678", b"1234567890" * 1000], ids=len)
def test_an_address_takes_a_file_of_the_size_that_it_was_made_for_alone(s3: StoreSettings, content: bytes) -> None:
    store = MinioStore(s3)
    url = store.staging_url("ada", 9, 60.0) or ""
    with pytest.raises(urllib.error.HTTPError, match="403"):
        put_at(url, content)
    chunked = urllib.request.Request(url, iter([content]), {"Transfer-Encoding": "chunked"}, method="PUT")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(chunked).close()
    with pytest.raises(NotStored):
        store.promote("ada", hashlib.sha256(content).hexdigest(), len(content))
    put_at(url, b"123456789")


def test_what_is_not_what_was_promised_becomes_no_blob_and_is_gone(s3: StoreSettings) -> None:
    store, digest = MinioStore(s3), hashlib.sha256(b"promised").hexdigest()
    for content in (b"anything", b"else"):
        put_at(store.staging_url("ada", len(content), 60.0) or "", content)
        with pytest.raises(DigestMismatch):
            store.promote("ada", digest, len(b"promised"))
        with pytest.raises(NotStored):
            store.promote("ada", digest, len(b"promised"))
    assert store.missing({digest}) == {digest}
