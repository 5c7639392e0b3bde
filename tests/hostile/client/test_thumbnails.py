"""Whoever asks for small copies, often and at once, holds up nobody else."""

import hashlib
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import urllib3

from renderctl.core.actors import Role
from renderctl.core.errors import BadImage, Busy
from renderctl.farm import Farm
from renderctl.farm.jobs.outputs import OpenOutput, open_output
from renderctl.farm.jobs.thumbnails import Thumbnails
from renderctl.stores.local import LocalStore
from tests.farms import ACTOR, close, given_job, make_farm, wait_for, work_off
from tests.server.conftest import Served
from tests.server.live import listening

#: More than a server of ours has threads for requests.
CROWD = 60


class SlowStore(LocalStore):
    """A store that hands out no blob before it is let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.fetched: list[str] = []

    def get(self, digest: str, path: Path) -> None:
        self.fetched.append(digest)
        assert self.gate.wait(60)
        super().get(digest, path)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = make_farm(tmp_path / "data")
    store = SlowStore(farm.settings.data_dir / "store")
    yield replace(farm, store=store)
    store.gate.set()
    close(farm)


@pytest.fixture
def wanted(farm: Farm) -> OpenOutput:
    """The image of a job that is done."""
    job = given_job(farm, "1")
    work_off(replace(farm, store=LocalStore(farm.settings.data_dir / "store")))
    return open_output(farm, ACTOR, job.id, 1, "0001.png")


@pytest.mark.slow
def test_a_crowd_that_waits_for_one_small_copy_stops_nobody_else(farm: Farm, wanted: OpenOutput) -> None:
    store = farm.store
    assert isinstance(store, SlowStore)
    job_id = farm.repository.jobs.find("shot").id
    eve = Served(farm, None).person("eve", Role.ARTIST, "default")  # type: ignore[arg-type]
    http = urllib3.PoolManager(headers=eve, retries=False, maxsize=CROWD, timeout=30.0)
    with listening(farm) as url, ThreadPoolExecutor(CROWD) as crowd:
        address = f"{url}/jobs/{job_id}/images/1/0001.png?side=160"
        up = urllib3.Retry(connect=50, backoff_factor=0.1, backoff_max=0.5)
        assert http.request("GET", f"{url}/api/v1/jobs?limit=1", retries=up).status == 200
        asked = [crowd.submit(http.request, "GET", address) for _ in range(CROWD)]
        wait_for(farm, lambda: store.fetched)
        for _ in range(5):
            assert http.request("GET", f"{url}/api/v1/jobs?limit=1", timeout=10.0).status == 200
        store.gate.set()
        answers = [request.result() for request in asked]
    assert [answer.status for answer in answers] == [200] * CROWD
    assert {item.data[:4] for item in answers} == {b"RIFF"}
    assert len(store.fetched) == 1


def test_who_would_wait_long_is_asked_to_come_again(farm: Farm, wanted: OpenOutput) -> None:
    thumbnails = Thumbnails(farm)
    waiting = [thumbnails.request(another(wanted, number), 160, f"eve{number // 16}") for number in range(64)]
    assert thumbnails.request(another(wanted, 1), 160, "ada") is waiting[1]
    with pytest.raises(Busy) as refused:
        thumbnails.request(another(wanted, 64), 160, "ada")
    assert refused.value.retry_after_s
    store = farm.store
    assert isinstance(store, SlowStore)
    store.gate.set()
    thumbnails.close()


def test_one_user_has_never_all_that_makes_small_copies(farm: Farm, wanted: OpenOutput) -> None:
    store = farm.store
    assert isinstance(store, SlowStore)
    thumbnails = Thumbnails(farm)
    for number in range(16):
        thumbnails.request(another(wanted, number), 160, "eve")
    with pytest.raises(Busy):
        thumbnails.request(another(wanted, 16), 160, "eve")
    made = thumbnails.request(wanted, 160, "bob")
    wait_for(farm, lambda: len(store.fetched) == 2)
    assert wanted.output.digest in store.fetched  # though fifteen of hers are older
    store.gate.set()
    assert isinstance(made, Future)
    assert made.result(30).is_file()
    thumbnails.close()


def another(wanted: OpenOutput, number: int) -> OpenOutput:
    """An output like it with a digest of its own."""
    return replace(wanted, output=replace(wanted.output, digest=f"{number:064x}"))


def test_what_is_no_image_is_decoded_once(farm: Farm, wanted: OpenOutput, tmp_path: Path) -> None:
    store = farm.store
    assert isinstance(store, SlowStore)
    store.gate.set()
    broken = store.root / "blobs" / wanted.output.digest[:2] / wanted.output.digest[2:]
    content = broken.read_bytes()[:40]
    (tmp_path / "broken.png").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    store.put(tmp_path / "broken.png", digest)
    wanted = replace(wanted, output=replace(wanted.output, digest=digest))
    thumbnails = Thumbnails(farm)
    making = thumbnails.request(wanted, 160, "eve")
    assert isinstance(making, Future)
    with pytest.raises(BadImage):
        making.result(30)
    lengths = []
    for _ in range(3):
        with pytest.raises(BadImage) as refused:
            thumbnails.request(wanted, 160, "eve")
        lengths.append(len(traceback.extract_tb(refused.value.__traceback__)))
    assert lengths == [2, 2, 2]  # what is kept of the error does not grow, nor hold on to who asked
    assert store.fetched == [digest]
    thumbnails.close()
