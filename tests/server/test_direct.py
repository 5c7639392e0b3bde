"""Straight to the store: with `serve.direct`, files go between a client and a real S3; the server is told of them."""

import hashlib
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from renderctl import wiring
from renderctl.client.uploads import upload_files
from renderctl.core.actors import Role
from renderctl.core.errors import DigestMismatch, FileChanged, NotStored
from renderctl.core.jobs import Input
from renderctl.core.settings import ServeSettings, StoreSettings
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.farm.models.upload import UploadOptions
from renderctl.wiring.remote_commands import RemoteCommands
from tests.fake_blender import FakeExecutor, png, rendered
from tests.farms import FACTS, close, make_farm, quick_settings, work_off
from tests.server.conftest import Served
from tests.server.live import listening
from tests.wires import Wire

API = "/api/v1"
MEGABYTE = 1 << 20
PICTURE = png(note=os.urandom(2 * MEGABYTE).hex().encode())
#: Requests that bear their signature in the address are those of clients: the server signs by a header.
PRESIGNED = b"X-Amz-Signature="


class Tap(Wire):
    """A wire that counts, may break where a client speaks to the store, and may have something happen before that."""

    def __init__(self, host: str, port: int) -> None:
        self.carried = 0  #: bytes, both ways
        self.asked: list[str] = []  #: first lines and ranges of what came presigned
        self.refuses = False  #: whether it lets no client through to the store
        self.breaks_after: int | None = None  #: bytes of an answer to a client, once
        self.before: tuple[bytes, Callable[[], object]] | None = None  #: what is done, once, before which words
        self._clients: dict[int, int] = {}  #: connections of clients, and how many bytes they were answered
        super().__init__(host, port)

    def question(self, content: bytes, client: socket.socket) -> None:
        self.carried += len(content)
        if PRESIGNED in content.partition(b"\r\n")[0]:
            self.asked += [
                each for each in content[:4096].decode("latin-1").splitlines() if "HTTP" in each or "ange" in each
            ]
            self._clients[id(client)] = 0
            if self.refuses:
                client.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
        if self.before is not None and self.before[0] in content:
            (_, act), self.before = self.before, None
            act()

    def answer(self, content: bytes, client: socket.socket) -> None:
        self.carried += len(content)
        if id(client) in self._clients:
            self._clients[id(client)] += len(content)
            if self.breaks_after is not None and self._clients[id(client)] > self.breaks_after:
                self.breaks_after = None
                client.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def store(s3: StoreSettings) -> Iterator[Tap]:
    """What lies between the S3 and everybody else."""
    host, _, port = (s3.endpoint or "").partition(":")
    tap = Tap(host, int(port))
    yield tap
    tap.close()


@pytest.fixture
def farm(tmp_path: Path, s3: StoreSettings, store: Tap) -> Iterator[Farm]:
    """A farm whose files are in the S3, which it shows to clients."""
    reached = replace(s3, endpoint=f"127.0.0.1:{store.port}")
    settings = replace(quick_settings(tmp_path / "data"), store=reached, serve=ServeSettings(direct=True))
    executor = FakeExecutor(behaviours={1: lambda blender, order: rendered(blender, order, PICTURE)})
    farm = make_farm(tmp_path / "data", settings=settings, executor=executor)
    yield farm
    close(farm)


@pytest.fixture
def server(farm: Farm) -> Iterator[Tap]:
    """What lies between the server and its clients."""
    with listening(farm) as url:
        parts = urlsplit(url)
        tap = Tap(parts.hostname or "", parts.port or 0)
        yield tap
        tap.close()


@pytest.fixture
def ada(farm: Farm, server: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteCommands]:
    """Somebody on a laptop who has a token of the server, and nothing else."""
    token = Served(farm, None).person("ada", Role.ARTIST, "default")["Authorization"]  # type: ignore[arg-type]
    monkeypatch.setenv("RENDERCTL_DATA_DIR", str(tmp_path / "laptop"))
    monkeypatch.setenv("RENDERCTL_SERVER__URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", token.removeprefix("Bearer "))
    connection = wiring.connect()
    assert isinstance(connection, RemoteCommands)
    yield connection
    connection.close()


def given_file(folder: Path, content: bytes, name: str = "shot.blend") -> tuple[Path, Input]:
    path = folder / name
    path.write_bytes(content)
    return path, Input(name, hashlib.sha256(content).hexdigest(), len(content))


def wanted(ada: RemoteCommands, file: Input) -> str:
    """The address at which a file may be put."""
    told: Any = ada.server.api.post("/uploads/wanted", {"files": [asdict(file)]})
    (told,) = told
    assert told["digest"] == file.digest
    return str(told["url"])


def status_of(method: str, url: str, content: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, method=method)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def offered(ada: RemoteCommands, file: Input) -> Any:
    body = {"name": "shot", "main": file.path, "facts": FACTS.as_document(), "inputs": [asdict(file)]}
    ada.server.api.post("/models", body)
    return ada.model_of("shot", UploadOptions())[0]


def rendered_job(ada: RemoteCommands, farm: Farm, folder: Path, frames: str) -> Any:
    """A job that was sent and is done; its images are still to be fetched."""
    path, file = given_file(folder, b"BLENDER-v500")
    upload_files(ada.server, {path: file})
    job = ada.submit(offered(ada, file), SubmitRequest(frames=frames)).job
    work_off(farm)
    return job


def test_a_file_goes_to_the_store_and_the_images_come_from_it_and_neither_passes_the_server(
    ada: RemoteCommands, farm: Farm, server: Tap, store: Tap, tmp_path: Path
) -> None:
    path, file = given_file(tmp_path, os.urandom(20 * MEGABYTE))
    assert upload_files(ada.server, {path: file}) == [file]
    assert upload_files(ada.server, {path: file}) == []
    job = ada.submit(offered(ada, file), SubmitRequest(frames="1-2")).job
    work_off(farm)
    assert ada.download(job.id, tmp_path / "out").written == 2
    assert (tmp_path / "out" / "shot" / "0001.png").read_bytes() == PICTURE
    assert server.carried < MEGABYTE / 4
    assert not (farm.settings.data_dir / "incoming").exists()
    methods = [line.split()[0] for line in store.asked if "HTTP" in line]
    assert methods == ["PUT", "GET", "GET"]


def test_a_download_that_broke_goes_on_where_it_broke(
    ada: RemoteCommands, farm: Farm, store: Tap, tmp_path: Path
) -> None:
    job = rendered_job(ada, farm, tmp_path, "1")
    store.breaks_after = 3 * MEGABYTE  # it is read by the megabyte
    assert ada.download(job.id, tmp_path / "out").written == 1
    assert (tmp_path / "out" / "shot" / "0001.png").read_bytes() == PICTURE
    (begun,) = [int(line.partition("=")[2].rstrip("-")) for line in store.asked if line.lower().startswith("range")]
    assert begun >= MEGABYTE


def test_a_client_that_can_not_reach_the_store_sends_and_fetches_by_way_of_the_server(
    ada: RemoteCommands, farm: Farm, server: Tap, store: Tap, tmp_path: Path
) -> None:
    store.refuses = True
    files = dict(given_file(tmp_path, os.urandom(MEGABYTE), f"{number}.blend") for number in range(20))
    assert len(upload_files(ada.server, files)) == 20
    assert server.carried > 20 * MEGABYTE
    assert farm.store.missing({each.digest for each in files.values()}) == set()
    tried = len(store.asked)
    assert tried < 20  # it is not tried for every one of them
    job = ada.submit(offered(ada, next(iter(files.values()))), SubmitRequest(frames="1-3")).job
    work_off(farm)
    assert ada.download(job.id, tmp_path / "out").written == 3
    assert len(store.asked) == tried


def test_a_store_that_is_out_of_reach_only_when_images_are_fetched_is_gone_around(
    ada: RemoteCommands, farm: Farm, store: Tap, tmp_path: Path
) -> None:
    job = rendered_job(ada, farm, tmp_path, "1-3")
    store.refuses = True
    assert ada.download(job.id, tmp_path / "out").written == 3
    assert (tmp_path / "out" / "shot" / "0001.png").read_bytes() == PICTURE


def test_wrong_bytes_are_refused_and_gone(ada: RemoteCommands, farm: Farm, tmp_path: Path) -> None:
    _, file = given_file(tmp_path, b"BLENDER-v500 promised")
    for wrong, status in ((b"BLENDER-v500 anything", 200), (b"short", 403), (b"", 403)):
        assert status_of("PUT", wanted(ada, file), wrong) == status
        with pytest.raises(DigestMismatch if status == 200 else NotStored):
            ada.server.api.post(f"/uploads/{file.digest}/promote", {"size": file.size})
        with pytest.raises(NotStored):
            ada.server.api.post(f"/uploads/{file.digest}/promote", {"size": file.size})
    assert farm.store.missing({file.digest}) == {file.digest}


def test_bytes_that_change_once_they_were_looked_at_are_not_what_is_kept(
    ada: RemoteCommands, farm: Farm, s3: StoreSettings, store: Tap, tmp_path: Path
) -> None:
    _, file = given_file(tmp_path, b"BLENDER-v500 promised")
    url = wanted(ada, file)
    assert status_of("PUT", url, b"BLENDER-v500 promised") == 200
    kept = f"PUT /{s3.bucket}/blobs/".encode()
    store.before = kept, lambda: status_of("PUT", url, b"BLENDER-v500 anything")
    ada.server.api.post(f"/uploads/{file.digest}/promote", {"size": file.size})
    assert store.before is None
    farm.store.get(file.digest, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"BLENDER-v500 promised"


def test_a_file_that_changed_since_it_was_hashed_is_named(ada: RemoteCommands, farm: Farm, tmp_path: Path) -> None:
    path, file = given_file(tmp_path, b"BLENDER-v500")
    path.write_bytes(b"painted over")
    with pytest.raises(FileChanged, match=r"shot\.blend changed"):
        upload_files(ada.server, {path: file})
    assert farm.store.missing({file.digest}) == {file.digest}


def test_an_address_is_good_for_its_own_key_and_for_putting_there_alone(
    ada: RemoteCommands, farm: Farm, s3: StoreSettings, tmp_path: Path
) -> None:
    content = b"BLENDER-v500"
    _, file = given_file(tmp_path, content)
    url = wanted(ada, file)
    parts = urlsplit(url)
    bucket, _, staged = parts.path.lstrip("/").partition("/")
    assert (bucket, staged.partition("/")[0]) == (s3.bucket, "incoming")
    blob = f"/{bucket}/blobs/{file.digest[:2]}/{file.digest[2:]}"
    for path in (blob, f"{parts.path}x", f"/{bucket}/incoming/..%2f..{blob}", f"{parts.path}/../../blobs/x"):
        assert status_of("PUT", parts._replace(path=path).geturl(), content) == 403, path
    assert status_of("PUT", parts._replace(path=blob, query="").geturl(), content) == 403
    for method in ("GET", "DELETE"):
        assert status_of(method, url) == 403
    assert farm.store.missing({file.digest}) == {file.digest}


def test_another_upload_of_the_same_file_may_take_it_over_first(
    ada: RemoteCommands, farm: Farm, server: Tap, tmp_path: Path
) -> None:
    path, file = given_file(tmp_path, b"BLENDER-v500")
    promise = f"/uploads/{file.digest}/promote"
    server.before = promise.encode(), lambda: ada.server.api.post(promise, {"size": file.size})
    assert upload_files(ada.server, {path: file}) == [file]
    assert server.before is None
    assert farm.store.missing({file.digest}) == set()
