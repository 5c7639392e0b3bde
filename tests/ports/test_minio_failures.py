"""Errors of an S3 store, each recognized and explained."""

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from renderctl.core.errors import BadSettings, DigestMismatch, StoreUnavailable
from renderctl.core.settings import StoreSettings
from renderctl.stores.minio import MinioStore
from tests.certificates import own_certificate
from tests.farms import log_of
from tests.ports.broken_s3 import Answer, Asked, BrokenS3, broken_s3, refusal

BYTES = b"A cube, a light and a camera. " * 1000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(BYTES)
    return path


@pytest.fixture
def broken() -> Iterator[BrokenS3]:
    with broken_s3() as server:
        yield server


def impatient_store(settings: StoreSettings) -> MinioStore:
    """A store with a short time-out."""
    return MinioStore(settings, timeout_s=0.5)


def always(answer: Answer) -> Callable[[Asked], Answer]:
    return lambda asked: answer


def error_text(store: MinioStore, use: Callable[[MinioStore], object] = MinioStore.check) -> str:
    """Return message and hint, as the user reads them. They hold no secret."""
    with pytest.raises(StoreUnavailable) as caught:
        use(store)
    message = f"{caught.value.message} {caught.value.hint}"
    assert "s3cr3t" not in message
    assert store._settings.endpoint is not None
    assert store._settings.endpoint in message
    return message


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("InvalidAccessKeyId", "The Access Key Id does not exist.", "does not know the access key.*store.access_key"),
        ("SignatureDoesNotMatch", "", "does not accept the secret key.*store.secret_key"),
        ("AccessDenied", "Access Denied.", "does not allow that.*list, read, write and delete in the bucket bucket"),
        ("AuthorizationHeaderMalformed", "expecting 'eu-1'", "another region than us-east-1.*eu-1.*Set store.region"),
        ("QuotaExceeded", "", "is full: the quota is used up.*renderctl gc"),
        ("XMinioStorageFull", "Storage backend has reached its limit.", "is full.*renderctl gc"),
        ("BucketAlreadyExists", "", "another account.*store.bucket"),
        ("SlowDown", "", "fewer requests"),
        ("SomethingNew", "The moon is wrong.", "refuses the request .SomethingNew: The moon is wrong"),
    ],
)
def test_refusals_are_explained(broken: BrokenS3, code: str, message: str, expected: str) -> None:
    broken.answers.append(always(refusal(code, message)))
    assert re.search(expected, error_text(impatient_store(broken.settings)))


def test_the_region_that_the_server_names_is_suggested(broken: BrokenS3) -> None:
    broken.answers.append(always(refusal("PermanentRedirect", "", 301, x_amz_bucket_region="eu-central-1")))
    settings = replace(broken.settings, region="us-east-1")
    assert "Set store.region to eu-central-1" in error_text(impatient_store(settings))


@pytest.mark.parametrize(("hours", "word"), [(1, "behind"), (-1, "ahead of")])
def test_a_wrong_clock_is_reported_with_its_error(broken: BrokenS3, hours: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    broken.answers.append(always(refusal("RequestTimeTooSkewed", "The difference is too large.", date=date)))
    message = error_text(impatient_store(broken.settings))
    assert re.search(rf"it is (359\d|360\d) s {word} the store's.*NTP", message), message


def test_a_bucket_that_is_not_there_and_may_not_be_made(broken: BrokenS3) -> None:
    broken.answers.append(
        lambda asked: refusal("NoSuchBucket", status=404) if asked.method == "GET" else refusal("AccessDenied")
    )
    assert "has no bucket bucket and these keys may not create one" in error_text(impatient_store(broken.settings))


def test_a_full_disk_is_reported_by_writes(broken: BrokenS3, source: Path) -> None:
    broken.answers.append(lambda asked: refusal("InsufficientStorage", "", 507) if asked.method == "PUT" else None)
    store = impatient_store(broken.settings)
    for use in (lambda store: store.put(source, DIGEST), lambda store: store.put_log("attempt", [b""])):
        assert re.search("is full.*renderctl gc", error_text(store, use))


def test_transient_errors_are_retried(broken: BrokenS3, source: Path) -> None:
    refused = [refusal("SlowDown", "", 503), refusal("InternalError", "", 500), Answer(502, b"<html>Bad Gateway")]
    broken.answers.append(lambda asked: refused.pop() if asked.method == "PUT" and refused else None)
    impatient_store(broken.settings).put(source, DIGEST)
    assert [asked.body for asked in broken.asked if asked.method == "PUT"] == [BYTES] * 4


def test_retries_are_limited(broken: BrokenS3, source: Path) -> None:
    broken.answers.append(lambda asked: refusal("SlowDown", "", 503) if asked.method == "PUT" else None)
    store = impatient_store(broken.settings)
    assert "asks for fewer requests" in error_text(store, lambda store: store.put(source, DIGEST))
    assert len([asked for asked in broken.asked if asked.method == "PUT"]) == 5


def test_a_truncated_response_is_requested_again(broken: BrokenS3, tmp_path: Path) -> None:
    cuts = [True, True, False]
    broken.answers.append(
        lambda asked: Answer(200, BYTES, cut=cuts.pop(0)) if asked.path.startswith("/bucket/blobs/") else None
    )
    impatient_store(broken.settings).get(DIGEST, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_responses_that_stay_truncated_are_an_error(broken: BrokenS3, tmp_path: Path) -> None:
    broken.answers.append(
        lambda asked: Answer(200, BYTES, cut=True) if asked.path.startswith("/bucket/blobs/") else None
    )
    store = impatient_store(broken.settings)
    assert "closed the connection" in error_text(store, lambda store: store.get(DIGEST, tmp_path / "got"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [Answer(200, BYTES[:-1]), Answer(200, BYTES[:-1] + b"!")], ids=["cut", "altered"])
def test_bytes_that_do_not_match_the_digest_are_damaged(broken: BrokenS3, tmp_path: Path, answer: Answer) -> None:
    broken.answers.append(lambda asked: answer if asked.path.startswith("/bucket/blobs/") else None)
    with pytest.raises(DigestMismatch, match="damaged"):
        impatient_store(broken.settings).get(DIGEST, tmp_path / "got")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_loses_writes_is_detected(broken: BrokenS3) -> None:
    assert "does not return what was written to it" in error_text(impatient_store(broken.settings))


def test_a_bucket_that_was_deleted_is_out_of_reach_and_not_empty(broken: BrokenS3, tmp_path: Path) -> None:
    store = impatient_store(broken.settings)
    assert store.missing({DIGEST}) == {DIGEST}
    broken.answers.append(lambda asked: Answer(404) if asked.method == "HEAD" else refusal("NoSuchBucket", status=404))
    for use in (
        lambda store: store.missing({DIGEST}),
        lambda store: store.get(DIGEST, tmp_path / "got"),
        lambda store: log_of(store, "attempt"),
        lambda store: list(store.blobs()),
    ):
        assert "has no bucket bucket any more" in error_text(store, use)


def test_a_website_is_no_store(broken: BrokenS3) -> None:
    broken.answers.append(always(Answer(404, b"<html>Not found</html>", {"Content-Type": "text/html"})))
    assert "does not respond as an S3 does" in error_text(impatient_store(broken.settings))
    broken.answers.insert(0, always(Answer(200, b"<html>Welcome", {"Content-Type": "text/html"})))
    assert "does not respond as an S3 does" in error_text(impatient_store(broken.settings))


def test_a_proxy_without_a_store_is_no_website(broken: BrokenS3) -> None:
    broken.answers.append(always(Answer(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})))
    assert "has failed: status 502" in error_text(impatient_store(broken.settings))


def test_a_closed_port_is_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    settings = StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)
    assert "is out of reach: Connection refused" in error_text(impatient_store(settings))


def test_a_name_that_does_not_resolve_is_reported() -> None:
    settings = StoreSettings("minio", "store.invalid:9000", "key", "s3cr3t", secure=False)
    assert "has a name that does not resolve" in error_text(impatient_store(settings))


def test_a_port_that_never_responds_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)
        assert "did not respond in time" in error_text(impatient_store(settings))


@pytest.mark.parametrize("endpoint", ["http://store:9000", "store:9000/path", "store:port"])
def test_a_malformed_endpoint_is_a_bad_setting(endpoint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        MinioStore(StoreSettings("minio", endpoint, "key", "s3cr3t"))
    assert "HOST" in (caught.value.hint or "")


def test_an_invalid_bucket_name_is_a_bad_setting() -> None:
    with pytest.raises(BadSettings, match="bucket"):
        MinioStore(StoreSettings("minio", "store:9000", "key", "s3cr3t", bucket="The Farm's"))


@pytest.mark.services
def test_tls_to_a_port_without_it_is_explained(s3: StoreSettings) -> None:
    message = error_text(MinioStore(replace(s3, secure=True)))
    assert re.search("does not speak TLS.*store.secure to false", message), message


def test_a_tls_port_used_without_tls_is_explained() -> None:
    with secure_port() as (endpoint, _):
        message = error_text(MinioStore(StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)))
    assert "set store.secure to true" in message


def test_an_untrusted_certificate_is_explained_and_a_trusted_one_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secure_port() as (endpoint, certificate):
        settings = StoreSettings("minio", endpoint, "key", "s3cr3t")
        assert re.search(
            "certificate that is not trusted: self-signed certificate.*SSL_CERT_FILE",
            error_text(impatient_store(settings)),
        )
        (tmp_path / "authority.pem").write_bytes(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert "does not respond as an S3 does" in error_text(impatient_store(settings))


@pytest.mark.services
@pytest.mark.parametrize(
    ("change", "expected"),
    [({"access_key": "nobody"}, "store.access_key"), ({"secret_key": "s3cr3t"}, "store.secret_key")],
)
def test_wrong_keys_are_explained(s3: StoreSettings, change: dict[str, Any], expected: str) -> None:
    assert expected in error_text(MinioStore(replace(s3, **change)))


@contextmanager
def secure_port() -> Iterator[tuple[str, bytes]]:
    """HOST:PORT of a server with TLS that is no store, and its certificate."""
    key, certificate = own_certificate("127.0.0.1")
    with TemporaryDirectory() as folder, HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        chain = Path(folder) / "chain.pem"
        chain.write_bytes(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", certificate
        finally:
            server.shutdown()
            thread.join()


def refusing_in_a_batch(asked: Asked) -> Answer | None:
    """A server that fails to delete the blob in a batch."""
    if asked.method != "POST" or "delete" not in asked.query:
        return None
    error = f"<Error><Key>blobs/{DIGEST[:2]}/{DIGEST[2:]}</Key><Code>InternalError</Code><Message/></Error>"
    body = f'<?xml version="1.0"?><DeleteResult>{error}</DeleteResult>'.encode()
    return Answer(body=body, headers={"Content-Type": "application/xml"})


def test_a_blob_that_fails_in_a_batch_is_deleted_alone(broken: BrokenS3) -> None:
    broken.answers += [refusing_in_a_batch, lambda asked: Answer(204) if asked.method == "DELETE" else None]
    impatient_store(broken.settings).remove({DIGEST})
    assert [asked.method for asked in broken.asked].count("DELETE") == 1


def test_a_refused_removal_is_reported(broken: BrokenS3) -> None:
    denied = refusal("AccessDenied")
    broken.answers += [refusing_in_a_batch, lambda asked: denied if asked.method == "DELETE" else None]
    assert "does not allow that" in error_text(impatient_store(broken.settings), lambda store: store.remove({DIGEST}))
