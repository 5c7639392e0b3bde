"""What is special about a store in a bucket: everything that an S3 can have against it, each told apart."""

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
    with broken_s3() as made:
        yield made


def hasty(settings: StoreSettings) -> MinioStore:
    """A store that waits for nobody long."""
    return MinioStore(settings, patience_s=0.5)


def always(answer: Answer) -> Callable[[Asked], Answer]:
    return lambda asked: answer


def complaint(store: MinioStore, use: Callable[[MinioStore], object] = MinioStore.check) -> str:
    """What the user reads: the sentence and what to do. No secret is in it."""
    with pytest.raises(StoreUnavailable) as caught:
        use(store)
    said = f"{caught.value.message} {caught.value.hint}"
    assert "s3cr3t" not in said
    assert store._settings.endpoint is not None
    assert store._settings.endpoint in said
    return said


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("InvalidAccessKeyId", "The Access Key Id does not exist.", "does not know the access key.*store.access_key"),
        ("SignatureDoesNotMatch", "", "does not accept the secret key.*store.secret_key"),
        ("AccessDenied", "Access Denied.", "does not allow that.*list, read, write and delete in the bucket bucket"),
        ("AuthorizationHeaderMalformed", "expecting 'eu-1'", "another region than us-east-1.*eu-1.*Set store.region"),
        ("QuotaExceeded", "", "is full: the quota is used up.*renderctl gc"),
        ("XMinioStorageFull", "Storage backend has reached its limit.", "is full.*renderctl gc"),
        ("BucketAlreadyExists", "", "someone else's.*store.bucket"),
        ("SlowDown", "", "asked less often"),
        ("SomethingNew", "The moon is wrong.", "refuses that .SomethingNew: The moon is wrong"),
    ],
)
def test_what_is_refused_is_told_apart(broken: BrokenS3, code: str, message: str, expected: str) -> None:
    broken.answers.append(always(refusal(code, message)))
    assert re.search(expected, complaint(hasty(broken.settings)))


def test_a_region_that_the_server_names_is_handed_on(broken: BrokenS3) -> None:
    broken.answers.append(always(refusal("PermanentRedirect", "", 301, x_amz_bucket_region="eu-central-1")))
    settings = replace(broken.settings, region="us-east-1")
    assert "Set store.region to eu-central-1" in complaint(hasty(settings))


@pytest.mark.parametrize(("hours", "word"), [(1, "behind"), (-1, "ahead of")])
def test_a_clock_that_is_wrong_is_told_with_how_much(broken: BrokenS3, hours: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    broken.answers.append(always(refusal("RequestTimeTooSkewed", "The difference is too large.", date=date)))
    said = complaint(hasty(broken.settings))
    assert re.search(rf"it is (359\d|360\d) s {word} its own.*NTP", said), said


def test_a_bucket_that_is_not_there_and_may_not_be_made(broken: BrokenS3) -> None:
    broken.answers.append(
        lambda asked: refusal("NoSuchBucket", status=404) if asked.method == "GET" else refusal("AccessDenied")
    )
    assert "has no bucket bucket, and does not let these keys make one" in complaint(hasty(broken.settings))


def test_a_disk_that_gets_full_is_told_by_whoever_writes(broken: BrokenS3, source: Path) -> None:
    broken.answers.append(lambda asked: refusal("InsufficientStorage", "", 507) if asked.method == "PUT" else None)
    store = hasty(broken.settings)
    for use in (lambda store: store.put(source, DIGEST), lambda store: store.put_log("attempt", [b""])):
        assert re.search("is full.*renderctl gc", complaint(store, use))


def test_what_passes_is_tried_again(broken: BrokenS3, source: Path) -> None:
    refused = [refusal("SlowDown", "", 503), refusal("InternalError", "", 500), Answer(502, b"<html>Bad Gateway")]
    broken.answers.append(lambda asked: refused.pop() if asked.method == "PUT" and refused else None)
    hasty(broken.settings).put(source, DIGEST)
    assert [asked.body for asked in broken.asked if asked.method == "PUT"] == [BYTES] * 4


def test_what_does_not_pass_is_not_tried_for_ever(broken: BrokenS3, source: Path) -> None:
    broken.answers.append(lambda asked: refusal("SlowDown", "", 503) if asked.method == "PUT" else None)
    store = hasty(broken.settings)
    assert "asks to be asked less often" in complaint(store, lambda store: store.put(source, DIGEST))
    assert len([asked for asked in broken.asked if asked.method == "PUT"]) == 5


def test_an_answer_that_breaks_off_is_asked_for_again(broken: BrokenS3, tmp_path: Path) -> None:
    cuts = [True, True, False]
    broken.answers.append(
        lambda asked: Answer(200, BYTES, cut=cuts.pop(0)) if asked.path.startswith("/bucket/blobs/") else None
    )
    hasty(broken.settings).get(DIGEST, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BYTES


def test_answers_that_break_off_again_and_again_are_an_error(broken: BrokenS3, tmp_path: Path) -> None:
    broken.answers.append(
        lambda asked: Answer(200, BYTES, cut=True) if asked.path.startswith("/bucket/blobs/") else None
    )
    store = hasty(broken.settings)
    assert "broke off" in complaint(store, lambda store: store.get(DIGEST, tmp_path / "got"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [Answer(200, BYTES[:-1]), Answer(200, BYTES[:-1] + b"!")], ids=["cut", "altered"])
def test_what_is_not_what_was_stored_is_damaged(broken: BrokenS3, tmp_path: Path, answer: Answer) -> None:
    broken.answers.append(lambda asked: answer if asked.path.startswith("/bucket/blobs/") else None)
    with pytest.raises(DigestMismatch, match="damaged"):
        hasty(broken.settings).get(DIGEST, tmp_path / "got")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_forgets_is_found_out(broken: BrokenS3) -> None:
    assert "does not keep what is written to it" in complaint(hasty(broken.settings))


def test_a_bucket_that_was_deleted_is_out_of_reach_and_not_empty(broken: BrokenS3, tmp_path: Path) -> None:
    store = hasty(broken.settings)
    assert store.missing({DIGEST}) == {DIGEST}
    broken.answers.append(lambda asked: Answer(404) if asked.method == "HEAD" else refusal("NoSuchBucket", status=404))
    for use in (
        lambda store: store.missing({DIGEST}),
        lambda store: store.get(DIGEST, tmp_path / "got"),
        lambda store: log_of(store, "attempt"),
        lambda store: list(store.blobs()),
    ):
        assert "has no bucket bucket any more" in complaint(store, use)


def test_a_page_of_the_web_is_no_store(broken: BrokenS3) -> None:
    broken.answers.append(always(Answer(404, b"<html>Not found</html>", {"Content-Type": "text/html"})))
    assert "answers, but not the way an S3 does" in complaint(hasty(broken.settings))
    broken.answers.insert(0, always(Answer(200, b"<html>Welcome", {"Content-Type": "text/html"})))
    assert "answers, but not the way an S3 does" in complaint(hasty(broken.settings))


def test_a_balancer_with_nobody_behind_it_is_no_page_of_the_web(broken: BrokenS3) -> None:
    broken.answers.append(always(Answer(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})))
    assert "has failed: status 502" in complaint(hasty(broken.settings))


def test_nobody_at_the_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    settings = StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)
    assert "is out of reach: Connection refused" in complaint(hasty(settings))


def test_a_name_that_nobody_knows_is_told() -> None:
    settings = StoreSettings("minio", "store.invalid:9000", "key", "s3cr3t", secure=False)
    assert "has a name that nobody knows" in complaint(hasty(settings))


def test_a_port_that_takes_and_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)
        assert "did not answer in time" in complaint(hasty(settings))


@pytest.mark.parametrize("endpoint", ["http://store:9000", "store:9000/path", "store:port"])
def test_an_endpoint_that_is_none_is_a_setting_to_correct(endpoint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        MinioStore(StoreSettings("minio", endpoint, "key", "s3cr3t"))
    assert "HOST" in (caught.value.hint or "")


def test_a_bucket_of_a_name_that_is_none_is_a_setting_to_correct() -> None:
    with pytest.raises(BadSettings, match="bucket"):
        MinioStore(StoreSettings("minio", "store:9000", "key", "s3cr3t", bucket="The Farm's"))


@pytest.mark.services
def test_tls_against_a_port_that_has_none_is_told(s3: StoreSettings) -> None:
    said = complaint(MinioStore(replace(s3, secure=True)))
    assert re.search("does not speak TLS.*store.secure to false", said), said


def test_a_port_with_tls_that_is_asked_without_is_told() -> None:
    with secure_port() as (endpoint, _):
        said = complaint(MinioStore(StoreSettings("minio", endpoint, "key", "s3cr3t", secure=False)))
    assert "set store.secure to true" in said


def test_a_certificate_that_nobody_signed_is_told_and_one_that_is_trusted_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secure_port() as (endpoint, certificate):
        settings = StoreSettings("minio", endpoint, "key", "s3cr3t")
        assert re.search(
            "certificate that is not accepted: self-signed certificate.*SSL_CERT_FILE",
            complaint(hasty(settings)),
        )
        (tmp_path / "authority.pem").write_bytes(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert "answers, but not the way an S3 does" in complaint(hasty(settings))


@pytest.mark.services
@pytest.mark.parametrize(
    ("change", "expected"),
    [({"access_key": "nobody"}, "store.access_key"), ({"secret_key": "s3cr3t"}, "store.secret_key")],
)
def test_wrong_keys_are_told_apart(s3: StoreSettings, change: dict[str, str], expected: str) -> None:
    assert expected in complaint(MinioStore(replace(s3, **change)))


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
    """A server that does not remove the blob together with others."""
    if asked.method != "POST" or "delete" not in asked.query:
        return None
    error = f"<Error><Key>blobs/{DIGEST[:2]}/{DIGEST[2:]}</Key><Code>InternalError</Code><Message/></Error>"
    body = f'<?xml version="1.0"?><DeleteResult>{error}</DeleteResult>'.encode()
    return Answer(body=body, headers={"Content-Type": "application/xml"})


def test_what_is_not_removed_with_others_is_removed_by_itself(broken: BrokenS3) -> None:
    broken.answers += [refusing_in_a_batch, lambda asked: Answer(204) if asked.method == "DELETE" else None]
    hasty(broken.settings).remove({DIGEST})
    assert [asked.method for asked in broken.asked].count("DELETE") == 1


def test_what_may_not_be_removed_is_told(broken: BrokenS3) -> None:
    denied = refusal("AccessDenied")
    broken.answers += [refusing_in_a_batch, lambda asked: denied if asked.method == "DELETE" else None]
    assert "does not allow that" in complaint(hasty(broken.settings), lambda store: store.remove({DIGEST}))
