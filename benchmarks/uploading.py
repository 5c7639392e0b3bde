"""Uploading 2,000 small files and one of 1 GiB: cold, warm, and beside the plain client of the same S3, in one run.

`python -m tests.services -- python -m benchmarks uploading`. The small ones go to an S3 that answers each request after
20 ms, and to the real one. An upload is measured from the list of the scene's files to the row of the model; Blender's
look at the scene, which makes the list, is not part of it.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from minio import Minio

from benchmarks.farms import ACTOR
from benchmarks.timing import PYTHON, empty_folder
from renderctl.core.jobs import Input
from renderctl.core.models import ModelFacts
from renderctl.core.new_model import NewModel
from renderctl.core.settings import DatabaseSettings, Settings, StoreSettings
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.farm.models.file_hashes import hash_files
from renderctl.farm.models.upload import manifest_digest
from renderctl.wiring import open_farm
from tests.services import MariaDb, RadosGateway, Server
from tests.services.fresh import fresh_bucket, fresh_mysql
from tests.services.server import CLOCK

_SMALL, _SMALL_SIZE, _LARGE_SIZE = 2000, 24_000, 1 << 30
_DELAY_MS = 20
_FACTS = ModelFacts("5.0", "5.0.1", "Scene", (), 0, 0, 0)


@dataclass(frozen=True)
class _Took:
    """Seconds of the parts of an upload."""

    hashing: float
    sending: float
    keeping: float
    sent: int  #: files

    def __str__(self) -> str:
        parts = f"{self.hashing:.2f} hashing, {self.sending:.2f} asking and sending, {self.keeping:.2f} keeping"
        return f"{self.seconds:6.2f} s ({parts}; {self.sent} sent)"

    @property
    def seconds(self) -> float:
        return self.hashing + self.sending + self.keeping


@dataclass(frozen=True)
class _Site:
    """Where an upload goes."""

    folder: Path  #: what a node keeps of its own lies below
    database_url: str
    store: StoreSettings

    @contextmanager
    def farm(self, node: str) -> Iterator[Any]:
        opened: list[Any] = []
        database = DatabaseSettings(self.database_url)
        try:
            yield open_farm(Settings(self.folder / node, database=database, store=self.store), opened)
        finally:
            while opened:
                opened.pop().close()


def main() -> None:
    database = _url(MariaDb)
    with ExitStack() as stack:
        folder = stack.enter_context(empty_folder())
        direct = stack.enter_context(fresh_bucket(_url(RadosGateway)))
        small, large = _given_small(folder / "small"), _given_large(folder / "large")
        with _prompt_s3(direct) as prompt:
            print(f"{_SMALL} files of {_SMALL_SIZE} bytes, to an S3 that answers each request after {_DELAY_MS} ms")
            ours = _measure("far", small, _Site(folder / "far", stack.enter_context(fresh_mysql(database)), prompt))
            for threads in (32, 1):
                _beside(ours, f"plain client, {threads} at a time", partial(_plain, prompt, small, threads))
        print("The same files, to the S3 of the tests on this machine")
        ours = _measure("near", small, _Site(folder / "near", stack.enter_context(fresh_mysql(database)), direct))
        _beside(ours, "plain client, 32 at a time", partial(_plain, direct, small, 32))
        print("1 file of 1 GiB, to the same")
        ours = _measure(
            "large", large, _Site(folder / "large-farm", stack.enter_context(fresh_mysql(database)), direct)
        )
        _beside(ours, "plain client", partial(_plain, direct, large, 1))


def _measure(name: str, files: Sequence[Path], site: _Site) -> tuple[_Took, _Took]:
    """Cold and warm."""
    with site.farm("node") as farm:
        farm.store.missing(set())  # the bucket is there, and the database set up
        farm.repository.diagnostics.check()
        cold, warm = _uploaded(farm, name, files), _uploaded(farm, name, files)
    with site.farm("other-node") as farm:
        farm.repository.diagnostics.check()
        elsewhere = _uploaded(farm, name, files)
    print(f"  cold                          {cold}")
    print(f"  warm, nothing changed         {warm}")
    print(f"  warm, on a node that is new   {elsewhere}", flush=True)
    return cold, warm


def _uploaded(farm: Any, name: str, files: Sequence[Path]) -> _Took:
    started = time.perf_counter()
    hashed = hash_files(farm, files)
    hashing = time.perf_counter()
    inputs = {file: Input(file.name, hashed[file].digest, hashed[file].size) for file in files}
    sent = upload_missing(farm, inputs)
    sending = time.perf_counter()
    digest = manifest_digest(files[0].name, inputs.values())
    farm.repository.models.add(NewModel(name, files[0].name, digest, _FACTS, tuple(inputs.values())), actor=ACTOR)
    return _Took(hashing - started, sending - hashing, time.perf_counter() - sending, len(sent))


def _beside(ours: tuple[_Took, _Took], label: str, rival: Callable[[], None]) -> None:
    started = time.perf_counter()
    rival()
    took = time.perf_counter() - started
    cold, warm = (each.seconds / took for each in ours)
    print(f"  {label:<29} {took:6.2f} s; our cold / this {cold:.2f}, our warm / this {warm:.3f}", flush=True)


def _plain(settings: StoreSettings, files: Sequence[Path], threads: int) -> None:
    """The same files under other names, the way the client's own example does it."""
    client = Minio(settings.endpoint or "", settings.access_key, settings.secret_key, secure=settings.secure)
    with ThreadPoolExecutor(threads) as pool:
        list(
            pool.map(lambda file: client.fput_object(settings.bucket, f"plain-{threads}/{file.name}", str(file)), files)
        )


def _given_small(folder: Path) -> list[Path]:
    files = [folder / f"texture-{number:04}.png" for number in range(_SMALL)]
    return _settled(folder, {file: lambda: os.urandom(_SMALL_SIZE) for file in files})


def _given_large(folder: Path) -> list[Path]:
    return _settled(folder, {folder / "simulation.vdb": lambda: os.urandom(_LARGE_SIZE)})


def _settled(folder: Path, contents: Mapping[Path, Callable[[], bytes]]) -> list[Path]:
    """The files, not changed for longer than hashes of files that have just changed are not remembered."""
    folder.mkdir()
    for file, content in contents.items():
        file.write_bytes(content())
    while any(time.time() - file.stat().st_ctime < 2.5 for file in contents):
        CLOCK.wait(None, 0.1)
    return list(contents)


@contextmanager
def _prompt_s3(settings: StoreSettings) -> Iterator[StoreSettings]:
    command = [PYTHON, "-m", "benchmarks.prompt_s3", str(_DELAY_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield replace(settings, endpoint=f"127.0.0.1:{int(running.stdout.readline())}")
        finally:
            running.terminate()


def _url(kind: type[Server]) -> str:
    if kind.variable not in os.environ:
        raise SystemExit("Run it beside servers: python -m tests.services -- python -m benchmarks uploading")
    return os.environ[kind.variable]
