"""What a node keeps of the store: each file once, whole, shared by models, slots and workers."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.blender.failures import SessionStopped
from renderctl.core.errors import NotStored, StoreUnavailable
from renderctl.core.jobs import Input, RenderOptions
from renderctl.core.settings import Settings, WorkerSettings
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.worker.blob_cache import BlobCache
from renderctl.stores.local import LocalStore
from tests.fake_blender import FakeBlender, FakeExecutor, rendered
from tests.farms import close, given_job, make_farm, wait_for, work_until

NEVER = threading.Event()
Mount = Callable[[Path, str], None]


class CountingStore(LocalStore):
    """Counts what is fetched of it, and may take its time."""

    def __init__(self, root: Path, gate: threading.Event | None = None) -> None:
        super().__init__(root)
        self.fetched: list[str] = []
        self.at_once = self.most_at_once = 0
        self._gate = gate
        self._lock = threading.Lock()

    def get(self, digest: str, path: Path) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if self._gate is not None:
            self._gate.wait(20)
        super().get(digest, path)
        with self._lock:
            self.at_once -= 1
            self.fetched.append(digest)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "store")


@pytest.fixture
def farm(tmp_path: Path, store: CountingStore) -> Iterator[Farm]:
    farm = make_farm(tmp_path / "node", store=store)
    yield farm
    close(farm)


def given_blobs(farm: Farm, *names: str, size: int = 100) -> list[Input]:
    """Files in the store, each with a content of its own."""
    inputs = []
    for name in names:
        content = (name.encode() * size)[:size]
        file = farm.settings.data_dir / "given"
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        farm.store.put(file, digest)
        inputs.append(Input(f"{name}.png", digest, size))
    return inputs


def kept(farm: Farm) -> set[str]:
    return {file.parent.name + file.name for file in (farm.settings.data_dir / "cache" / "blobs").glob("*/*")}


def litter(farm: Farm) -> list[Path]:
    return list((farm.settings.data_dir / "cache" / "incoming").iterdir())


def test_versions_of_a_model_share_their_files_on_disk(farm: Farm, store: CountingStore, tmp_path: Path) -> None:
    wood, stone, glass = given_blobs(farm, "wood", "stone", "glass")
    cache = BlobCache(farm)
    cache.lay_out([wood, stone], tmp_path / "one", stop=NEVER)
    cache.lay_out([wood, glass, replace(wood, path="textures/again.png")], tmp_path / "two", stop=NEVER)
    assert sorted(store.fetched) == sorted(each.digest for each in (wood, stone, glass))
    shared = {(tmp_path / path).stat().st_ino for path in ("one/wood.png", "two/wood.png", "two/textures/again.png")}
    assert len(shared) == 1
    assert litter(farm) == []


def test_files_are_fetched_several_at_a_time(farm: Farm, tmp_path: Path) -> None:
    gate = threading.Event()
    slow = CountingStore(tmp_path / "store", gate)
    blobs = given_blobs(farm, *(f"tile{number}" for number in range(20)))
    fetching = threading.Thread(
        target=BlobCache(replace(farm, store=slow)).lay_out,
        args=(blobs, tmp_path / "out"),
        kwargs={"stop": NEVER},
    )
    fetching.start()
    wait_for(farm, lambda: slow.at_once >= 4)
    gate.set()
    fetching.join(20)
    assert len(list((tmp_path / "out").iterdir())) == 20


def test_two_slots_that_want_the_same_blob_fetch_it_once(farm: Farm, tmp_path: Path) -> None:
    gate = threading.Event()
    slow = CountingStore(tmp_path / "store", gate)
    (wood,) = given_blobs(farm, "wood")
    slots = [
        threading.Thread(
            target=BlobCache(replace(farm, store=slow)).lay_out,
            args=([wood], tmp_path / name),
            kwargs={"stop": NEVER},
        )
        for name in ("one", "two")
    ]
    for slot in slots:
        slot.start()
    wait_for(farm, lambda: slow.at_once == 1)
    farm.clock.wait(None, 0.2)
    gate.set()
    for slot in slots:
        slot.join(20)
    assert slow.fetched == [wood.digest]
    assert (tmp_path / "one" / "wood.png").samefile(tmp_path / "two" / "wood.png")


@pytest.mark.parametrize("harm", ["flipped", "cut"])
def test_a_blob_that_somebody_has_written_to_is_fetched_again(
    farm: Farm, store: CountingStore, tmp_path: Path, harm: str
) -> None:
    (wood,) = given_blobs(farm, "wood")
    cache = BlobCache(farm)
    cache.lay_out([wood], tmp_path / "one", stop=NEVER)
    used = tmp_path / "one" / "wood.png"
    used.chmod(0o644)
    used.write_bytes(b"x" * (wood.size if harm == "flipped" else 3))
    cache.lay_out([wood], tmp_path / "two", stop=NEVER)
    assert len(store.fetched) == 2
    content = (tmp_path / "two" / "wood.png").read_bytes()
    assert hashlib.sha256(content).hexdigest() == wood.digest


def test_a_blob_can_not_be_written_to(farm: Farm, tmp_path: Path) -> None:
    (wood,) = given_blobs(farm, "wood")
    BlobCache(farm).lay_out([wood], tmp_path / "out", stop=NEVER)
    assert (tmp_path / "out" / "wood.png").stat().st_mode & 0o777 == 0o444


def test_whoever_may_run_scripts_gets_copies(farm: Farm, tmp_path: Path) -> None:
    (wood,) = given_blobs(farm, "wood")
    cache = BlobCache(farm)
    cache.lay_out([wood], tmp_path / "one", stop=NEVER, own=True)
    (tmp_path / "one" / "wood.png").write_bytes(b"scribble")
    cache.lay_out([wood], tmp_path / "two", stop=NEVER)
    assert (tmp_path / "two" / "wood.png").stat().st_size == wood.size


def test_on_another_disk_files_are_copied(farm: Farm, store: CountingStore, tmp_path: Path, mount: Mount) -> None:
    mount(tmp_path / "other", "size=1m")
    (wood,) = given_blobs(farm, "wood")
    cache = BlobCache(farm)
    cache.lay_out([wood], tmp_path / "other" / "scene", stop=NEVER)
    copy = tmp_path / "other" / "scene" / "wood.png"
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == wood.digest
    assert store.fetched == [wood.digest]


def test_the_least_recently_used_blobs_go_when_there_are_too_many_and_those_in_use_stay(
    tmp_path: Path, store: CountingStore
) -> None:
    settings = Settings(tmp_path / "node", worker=WorkerSettings(cache_mb=2))
    farm = make_farm(tmp_path / "node", store=store, settings=settings)
    used, old, fresh, new = given_blobs(farm, "used", "old", "fresh", "new", size=600_000)
    cache = BlobCache(farm)
    cache.lay_out([used], tmp_path / "used", stop=NEVER)
    for each in (old, fresh):
        cache.lay_out([each], tmp_path / each.path, stop=NEVER, own=True)
    cache.lay_out([new], tmp_path / "new", stop=NEVER, own=True)
    assert kept(farm) == {used.digest, fresh.digest, new.digest}
    cache.make_room(1)
    assert kept(farm) == {used.digest, new.digest}
    close(farm)


def test_a_blob_that_is_given_up_while_it_is_laid_out_is_fetched_again(
    farm: Farm, store: CountingStore, tmp_path: Path
) -> None:
    blobs = given_blobs(farm, *(f"tile{number}" for number in range(30)))
    cache = BlobCache(farm)
    done = threading.Event()

    def give_up_all_the_time() -> None:
        while not done.is_set():
            cache.shrink(0)

    rival = threading.Thread(target=give_up_all_the_time)
    rival.start()
    try:
        cache.lay_out(blobs, tmp_path / "out", stop=NEVER)
    finally:
        done.set()
        rival.join()
    for each in blobs:
        assert hashlib.sha256((tmp_path / "out" / each.path).read_bytes()).hexdigest() == each.digest


def test_a_blob_that_the_store_has_not_is_an_error_and_leaves_nothing(farm: Farm, tmp_path: Path) -> None:
    (wood,) = given_blobs(farm, "wood")
    gone = Input("gone.png", "0" * 64, 5)
    with pytest.raises(NotStored):
        BlobCache(farm).lay_out([wood, gone], tmp_path / "out", stop=NEVER)
    assert not (tmp_path / "out").exists()
    assert litter(farm) == []


def test_a_download_that_is_stopped_ends_soon(farm: Farm, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(SessionStopped):
        BlobCache(farm).lay_out(given_blobs(farm, "wood"), tmp_path / "out", stop=stop)


def _hang_in_a_download(node: Path, store: Path, wood: Input, begun: "multiprocessing.synchronize.Event") -> None:
    class Hanging(LocalStore):
        def get(self, digest: str, path: Path) -> None:
            path.write_bytes(b"half")
            begun.set()
            threading.Event().wait(60)

    farm = make_farm(node, store=Hanging(store))
    BlobCache(farm).lay_out([wood], node / "out", stop=NEVER)


@pytest.mark.slow
def test_a_killed_download_leaves_nothing(farm: Farm, tmp_path: Path) -> None:
    wood, stone = given_blobs(farm, "wood", "stone")
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    victim = spawn.Process(target=_hang_in_a_download, args=(farm.settings.data_dir, tmp_path / "store", wood, begun))
    victim.start()
    assert begun.wait(30)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert kept(farm) == set()
    assert litter(farm)
    BlobCache(farm).lay_out([stone], tmp_path / "out", stop=NEVER)
    assert litter(farm) == []
    BlobCache(farm).lay_out([wood], tmp_path / "out2", stop=NEVER)


@pytest.mark.slow
def test_a_store_that_is_away_when_a_scene_is_opened_costs_no_attempt(farm: Farm, tmp_path: Path) -> None:
    class Away(CountingStore):
        refused = 0

        def get(self, digest: str, path: Path) -> None:
            if Away.refused < 2:
                Away.refused += 1
                raise StoreUnavailable
            super().get(digest, path)

    away = replace(farm, store=Away(tmp_path / "store"))
    job = given_job(away, "1-3")
    work_until(away, job)
    assert Away.refused == 2
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    assert {task.attempts for task in farm.repository.tasks.of_job(job.id)} == {0}


@pytest.mark.parametrize("trusted", [False, True])
def test_a_session_sees_links_unless_scripts_of_the_scene_may_run_in_it(farm: Farm, trusted: bool) -> None:
    seen: list[int] = []

    def look(blender: FakeBlender, order: object) -> None:
        seen.extend(file.stat().st_nlink for file in farm.settings.data_dir.glob("scratch/w1/slot-0/*/*/model/*"))
        rendered(blender, order)  # type: ignore[arg-type]

    executor = FakeExecutor(behaviours={1: look})
    settings = replace(farm.settings, worker=replace(farm.settings.worker, allow_scripts=True))
    looking = replace(farm, executor=executor, settings=settings)
    job = given_job(looking, "1", options=RenderOptions(trust_scripts=trusted))
    work_until(looking, job)
    assert seen == [1 if trusted else 2]
    assert not list(farm.settings.data_dir.glob("scratch/*"))
