"""Farms of real parts, embedded or on services, and what tests put into them."""

import copy
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy import Engine as DatabaseEngine

from renderctl.caches import Cache
from renderctl.caches.redis import RedisCache
from renderctl.caches.sqlite import SqliteCache
from renderctl.core.actors import local_actor
from renderctl.core.attempts import Claimant
from renderctl.core.clocks import Clock, SystemClock
from renderctl.core.jobs import Input, Job
from renderctl.core.models import Model, ModelFacts, SceneFacts
from renderctl.core.new_model import NewModel
from renderctl.core.settings import BlenderSettings, DecoderSettings, Settings, WorkerSettings
from renderctl.core.states import ENDED_JOB, WorkerState
from renderctl.core.workers import Capabilities
from renderctl.core.workers import Worker as WorkerRecord
from renderctl.decoder import Decoder
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.images import DockerImages
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest, submit, submit_reserved
from renderctl.farm.worker import Worker, WorkOptions, worker_for
from renderctl.queues import Queue
from renderctl.queues.rabbitmq import RabbitQueue
from renderctl.queues.sqlite import SqliteQueue
from renderctl.repository import Repository, open_repository
from renderctl.stores import Store
from renderctl.stores.local import LocalStore
from renderctl.stores.minio import MinioStore
from tests.fake_blender import FakeExecutor
from tests.fakes import FakeClock

ACTOR = local_actor("ada")
SCENE = SceneFacts(
    name="Scene",
    camera="Camera",
    cameras=("Camera", "Side"),
    frame_start=1,
    frame_end=10,
    frame_step=1,
    frame_current=3,
    fps=24.0,
    resolution=(64, 64),
    percentage=100,
    engine="CYCLES",
    samples=1,
    format="PNG",
    view_layers=("ViewLayer",),
    objects=1,
    faces=6,
)
FACTS = ModelFacts("5.0", "5.0.1", "Scene", (SCENE,), materials=0, objects=1, faces=6)
NODE = Capabilities(1, 1000, ("5.0.1",))
_first_engines: dict[str, DatabaseEngine] = {}
QUICK = WorkerSettings(heartbeat=0.1, heartbeat_limit=1.0)


def quick_settings(folder: Path) -> Settings:
    """The embedded farm of a folder, with short heartbeats."""
    return Settings(folder, worker=QUICK, blender=BlenderSettings(stall_timeout=0.5))


def make_farm(
    folder: Path,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    executor: Any = None,
    **ports: Any,
) -> Farm:
    """The farm that the settings name, else the embedded one of the folder; with a fake Blender unless told otherwise.

    A clock that is turned by hand is the database's, too.
    """
    clock, settings = clock or SystemClock(), settings or quick_settings(folder)
    folder.mkdir(parents=True, exist_ok=True)
    farm = Farm(
        settings=settings,
        repository=ports.pop("repository", None) or _repository(settings, folder, clock),
        store=MinioStore(settings.store) if settings.store.kind == "minio" else LocalStore(folder / "store"),
        queue=_queue(settings, folder, clock),
        cache=ports.pop("cache", None) or _cache(settings, folder, clock),
        executor=executor or FakeExecutor(),
        images=ports.pop("images", None) or DockerImages(Engine()),
        decoder=_shared_decoder(),
        clock=clock,
    )
    return replace(farm, **ports)


@cache
def _shared_decoder() -> Decoder:
    """One for all farms of a test run: it takes a moment to start, and ends with us."""
    return Decoder(DecoderSettings())


def _repository(settings: Settings, folder: Path, clock: Clock) -> Repository:
    url = settings.database_url
    if url == f"sqlite:///{folder / 'renderctl.db'}" and not (folder / "renderctl.db").exists():
        (folder / "renderctl.db").write_bytes(_empty_database())
    repository = open_repository(url, now=clock.now, heartbeat_limit_s=settings.worker.heartbeat_limit)
    _share_statements(repository.database.engine)
    if isinstance(clock, FakeClock) and repository.database.engine.dialect.name == "mysql":

        @event.listens_for(repository.database.engine, "begin")
        def _turn(connection: Connection) -> None:
            connection.exec_driver_sql(f"SET timestamp = {clock.now().timestamp():.6f}")

    return repository


def _share_statements(engine: DatabaseEngine) -> None:
    """Statements are compiled once for each engine, which takes longer than to execute them: a farm a test has many."""
    first = _first_engines.setdefault(engine.dialect.name, engine)
    engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache


def with_parts(farm: Farm, **parts: object) -> Farm:
    """The farm with other parts of its repository."""
    repository = copy.copy(farm.repository)
    vars(repository).update(parts)
    return replace(farm, repository=repository)


@event.listens_for(DatabaseEngine, "engine_connect")
def _share_with_commands(connection: Connection) -> None:
    """Commands that run in the process of their test open the database themselves."""
    if connection.dialect.name == "sqlite":
        _share_statements(connection.engine)
        connection.dialect = connection.engine.dialect


def _queue(settings: Settings, folder: Path, clock: Clock) -> Queue:
    if settings.queue.kind == "rabbitmq":
        return RabbitQueue(settings.queue.url or "", clock)
    return SqliteQueue(folder / "queue.db", clock)


def _cache(settings: Settings, folder: Path, clock: Clock) -> Cache:
    if settings.cache.kind == "redis":
        return RedisCache(settings.cache.url or "", clock)
    return SqliteCache(folder / "cache.db", clock)


@cache
def _empty_database() -> bytes:
    """A database that is set up and holds nothing: the migrations take a while."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_repository(f"sqlite:///{path}", now=SystemClock().now, heartbeat_limit_s=1.0).close()
        return path.read_bytes()


def close(farm: Farm) -> None:
    for port in (farm.repository, farm.queue, farm.cache):
        port.close()


def log_of(store: Store, attempt_id: str) -> bytes | None:
    """The whole log of an attempt; None: there is none."""
    return None if store.log_size(attempt_id) is None else b"".join(store.read_log(attempt_id))


def given_model(farm: Farm, name: str = "shot", facts: ModelFacts = FACTS) -> Model:
    """An uploaded model, whose blob is in the store."""
    content = f"BLENDER-v500 {name}".encode()
    file = farm.settings.data_dir / "given.blend"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    farm.store.put(file, digest)
    new = NewModel(name, f"{name}.blend", digest, facts, (Input(f"{name}.blend", digest, len(content)),))
    return farm.repository.models.add(new, actor=ACTOR)[0]


def given_job(farm: Farm, frames: str = "1-3", **request: Any) -> Job:
    """A job that waits for a worker."""
    model = request.pop("model", None) or given_model(farm)
    worker = request.pop("bound_to", None)
    wanted = SubmitRequest(frames=frames, **request)
    return (submit_reserved(farm, ACTOR, model, wanted, worker) if worker else submit(farm, ACTOR, model, wanted)).job


def given_worker(
    farm: Farm,
    name: str = "w1",
    pools: tuple[str, ...] = ("default",),
    start: str = "1",
    offered: Capabilities = NODE,
    **more: Any,
) -> Claimant:
    """A registered worker; its first slot, which can claim."""
    now = datetime.now(UTC)
    record = WorkerRecord(name, "host", WorkerState.ACTIVE, start, 1, pools, offered, now, now)
    farm.repository.workers.register(replace(record, **more), actor=ACTOR)
    return Claimant(name, start, 0, pools, offered)


def wait_for(farm: Farm, fact: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait for a fact; the test fails when it does not come true in time."""
    give_up = farm.clock.monotonic() + within_s
    while not fact():
        assert farm.clock.monotonic() < give_up, "it did not come true in time"
        farm.clock.wait(None, 0.005)


@contextmanager
def at_work(farm: Farm, name: str = "w1", **options: Any) -> Iterator[Worker]:
    """A worker that works for as long as the context, unless it is told to leave before, and is halted then."""
    worker = worker_for(farm, ACTOR, WorkOptions(name=name, **options))
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # raised again in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        worker.abort()
        thread.join(30)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def work_until(farm: Farm, *jobs: Job, name: str = "w1") -> None:
    """Have a worker work until the jobs have ended."""
    worker = worker_for(farm, ACTOR, WorkOptions(name=name))
    worker.start()
    worker.work()
    for _ in range(3000):
        if all(farm.repository.jobs.get(job.id).state in ENDED_JOB for job in jobs):
            break
        worker.wait(0.01)
    worker.drain()
    while not worker.wait(0.05):
        pass
    worker.leave()


def work_off(farm: Farm, *, name: str = "w1", idle_exit_s: float = 0.2, **options: Any) -> None:
    """Have a worker do all that there is to do."""
    worker_for(farm, ACTOR, WorkOptions(name=name, idle_exit_s=idle_exit_s, **options)).run()
