"""Processes that upload, publish and collect the same blobs at once: no row is ever without its blob."""

import hashlib
import multiprocessing
import random
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.errors import BlobCollected
from renderctl.core.jobs import Attempt, Input, Output
from renderctl.core.new_model import NewModel
from renderctl.core.settings import DatabaseSettings, Settings, StoreSettings
from renderctl.farm import Farm
from renderctl.farm.admin.gc import collect
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.farm.models.upload import manifest_digest
from renderctl.repository.database.unit_of_work import db_now
from renderctl.repository.schema.jobs import blob_leases
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, FACTS, QUICK, given_job, given_model, given_worker

CONTENTS = [f"BLENDER-v500 scene {number}".encode() for number in range(6)]
ROUNDS = 40


@dataclass(frozen=True)
class Part:
    """What a process is to do, on which farm."""

    settings: Settings
    name: str
    seed: int

    def files(self, contents: list[bytes]) -> dict[Path, Input]:
        folder = self.settings.data_dir / self.name
        folder.mkdir(parents=True, exist_ok=True)
        found = {}
        for content in contents:
            digest = hashlib.sha256(content).hexdigest()
            path = folder / digest
            path.write_bytes(content)
            found[path] = Input(f"{digest}.blend", digest, len(content))
        return found


def _upload(part: Part, farm: Farm, chance: random.Random, _over: Any) -> int:
    """Upload, look, remove again; how often that was refused because it took too long."""
    refused = 0
    for _ in range(ROUNDS):
        files = part.files(chance.sample(CONTENTS, chance.randint(1, 3)))
        inputs = tuple(sorted(files.values(), key=lambda each: each.path))
        since = farm.repository.time()
        upload_missing(farm, files)
        new = NewModel(part.name, inputs[0].path, manifest_digest(inputs[0].path, inputs), FACTS, inputs)
        try:
            model, _ = farm.repository.models.add(new, actor=ACTOR, since=since)
        except BlobCollected:
            refused += 1
            continue
        assert farm.store.missing({each.digest for each in inputs}) == set(), "a model without its blob"
        farm.repository.models.remove(model.id, actor=ACTOR)
    return refused


def _publish(part: Part, farm: Farm, chance: random.Random, _over: Any) -> int:
    """Publish a frame again and again; how often it had to be stored again."""
    job = given_job(farm, "1", pool=part.name)
    slot = given_worker(farm, part.name, (part.name,))
    refused = 0
    for _ in range(ROUNDS):
        (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
        ((path, hashed),) = part.files([chance.choice(CONTENTS)]).items()
        output = Output("0001.png", hashed.digest, hashed.size, 4, 4, 1, None, 1)
        farm.store.put(path, hashed.digest)
        refused += _completed(farm, attempt, output, path)
        assert farm.store.missing({hashed.digest}) == set(), "an output without its blob"
        farm.repository.jobs.finish_if_done(job.id)
        farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1])
    return refused


def _completed(farm: Farm, attempt: Attempt, output: Output, path: Path) -> int:
    """Completed as a worker does it; how often it had to be stored again."""
    refused, since = 0, None
    while True:
        with suppress(BlobCollected):
            farm.repository.attempts.complete(attempt, [output], Cost(), since=since)
            return refused
        refused += 1
        farm.repository.blobs.unknown({output.digest})
        since = farm.repository.time()
        farm.store.put(path, output.digest)


def _collect(_part: Part, farm: Farm, _chance: random.Random, over: Any) -> int:
    """Let all leases run out and collect, until all is over; how many blobs."""
    removed = 0
    while not over.is_set():
        farm.repository.database.write(
            lambda connection: connection.execute(blob_leases.update().values(until=db_now(connection)))
        )
        found = collect(farm, ACTOR, grace_hours=0.0)
        removed += found.removed
    return removed


def _run(deed: Any, part: Part, over: Any, results: Any) -> None:
    with closing(LocalCommands(part.settings, ACTOR)) as connection:
        try:
            results.put((deed.__name__, deed(part, connection.farm, random.Random(part.seed), over)))
        except BaseException as error:
            results.put((deed.__name__, repr(error)))


SITES = ["embedded", pytest.param("services", marks=pytest.mark.services)]


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES)
def test_no_row_is_ever_without_its_blob(site: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = Settings(tmp_path, worker=replace(QUICK, heartbeat_limit=60.0))
    if site == "services":
        url: str = request.getfixturevalue("ready_mysql_url")
        store: StoreSettings = request.getfixturevalue("s3")
        settings = replace(settings, database=DatabaseSettings(url), store=store)
    with closing(LocalCommands(settings, ACTOR)) as connection:
        connection.farm.repository.time()
        given_model(connection.farm)  # so that the store is known to be this database's own
        connection.farm.store.missing(set())
    spawn = multiprocessing.get_context("spawn")
    over, results = spawn.Event(), spawn.Queue()
    deeds = [_upload, _upload, _publish, _publish, _collect, _collect]
    processes = [
        spawn.Process(target=_run, args=(deed, Part(settings, f"p{number}", number), over, results))
        for number, deed in enumerate(deeds)
    ]
    for process in processes:
        process.start()
    said = [results.get(timeout=240) for _ in range(4)]
    over.set()
    said += [results.get(timeout=60) for _ in range(2)]
    for process in processes:
        process.join(20)
    assert all(isinstance(count, int) for _, count in said), said
    assert sum(count for name, count in said if name == "_collect") > 0, "there was something to collect"
