"""What compose/ gives `server` and `worker` in the store: the objects of one bucket, as a policy of it says."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error

from renderctl.core.settings import StoreSettings
from renderctl.stores.minio import MinioStore
from tests.services import RadosGateway, running
from tests.services.fixtures import require
from tests.services.rados import ACCESS_KEY, SECRET_KEY

pytestmark = [pytest.mark.services, pytest.mark.slow]
POLICY = Path(__file__).parents[3] / "compose" / "s3" / "policy.json"
BUCKET, OTHER = "renderctl", "other"
KEY, SECRET = "worker", "a worker's secret"


def policy_for(user: str) -> str:
    """The policy of compose/, as one of the bucket itself.

    To delete several objects at once Ceph asks for the right on the bucket, S3 and MinIO for that on each object.
    """
    document = json.loads(POLICY.read_text())
    document["Statement"] += [
        {"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": [f"arn:aws:s3:::{BUCKET}"]},
    ]
    for statement in document["Statement"]:
        statement["Principal"] = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    return json.dumps(document)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A gateway with two buckets, and a user who has the rights in one of them."""
    require(RadosGateway)
    with running(RadosGateway) as server:
        words = (
            "user",
            "create",
            "--uid=worker",
            "--display-name=worker",
            f"--access-key={KEY}",
            f"--secret-key={SECRET}",
        )
        server.run("radosgw-admin", "-c", str(server.folder / "ceph.conf"), *words)
        owner = Minio(f"127.0.0.1:{server.port}", ACCESS_KEY, SECRET_KEY, secure=False)
        for bucket in (BUCKET, OTHER):
            owner.make_bucket(bucket_name=bucket)
            owner.put_object(bucket_name=bucket, object_name="theirs", data=io.BytesIO(b"x"), length=1)
        owner.set_bucket_policy(bucket_name=BUCKET, policy=policy_for("worker"))
        yield f"127.0.0.1:{server.port}"


def test_the_store_works_with_the_rights_that_it_has(endpoint: str, tmp_path: Path) -> None:
    settings = StoreSettings(
        kind="minio", endpoint=endpoint, access_key=KEY, secret_key=SECRET, bucket=BUCKET, secure=False
    )
    store = MinioStore(settings)
    store.check()
    for content in (b"small", bytes(range(256)) * (80 << 10)):  # the second one in parts
        path, digest = tmp_path / "blob", hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        store.put(path, digest)
        assert store.missing({digest, "0" * 64}) == {"0" * 64}
        store.get(digest, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content
        assert digest in {blob.digest for blob in store.blobs()}
        store.remove([digest])
        assert store.missing({digest}) == {digest}
    store.put_log("attempt", [b"a line\n"])
    assert b"".join(store.read_log("attempt")) == b"a line\n"
    store.remove_logs(["attempt"])


def test_nothing_else_of_the_store_is_seen_or_changed(endpoint: str) -> None:
    client = Minio(endpoint, KEY, SECRET, secure=False)
    forbidden: list[Callable[[], object]] = [
        lambda: client.get_object(bucket_name=OTHER, object_name="theirs"),
        lambda: client.put_object(bucket_name=OTHER, object_name="ours", data=io.BytesIO(b"x"), length=1),
        lambda: list(client.list_objects(bucket_name=OTHER)),
        lambda: client.remove_object(bucket_name=OTHER, object_name="theirs"),
        lambda: client.remove_bucket(bucket_name=BUCKET),
        lambda: client.set_bucket_policy(bucket_name=BUCKET, policy=policy_for("worker")),
        lambda: client.get_bucket_policy(bucket_name=BUCKET),
    ]
    for attempt in forbidden:
        with pytest.raises(S3Error, match="AccessDenied"):
            attempt()
