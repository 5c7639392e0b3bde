"""Scenes that mean harm, rendered as trusted in containers and in sandboxes: each is stopped, and all others go on."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from renderctl.core.jobs import Job, RenderOptions
from renderctl.core.models import Model
from renderctl.core.settings import Settings, WorkerSettings
from renderctl.core.states import JobState
from renderctl.executors import Executor
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.process import ProcessExecutor, SandboxOptions
from renderctl.executors.sandbox import ForbiddenPaths, landlock_version
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.farm.models.upload import UploadRequest, upload
from renderctl.farm.worker import Worker
from tests.farms import ACTOR, at_work, close, given_job, make_farm, wait_for
from tests.lacking import lacking

pytestmark = [pytest.mark.timeout(600)]
KINDS = [pytest.param("docker", marks=pytest.mark.containers), pytest.param("process", marks=pytest.mark.blender)]
BARS = ResourceLimits(memory_mb=1024, pids=256, scratch_mb=64, share=0.5)
#: What becomes of a scene that takes too much of something, where it runs in a container and where in a sandbox.
TOO_MUCH = {
    "fork": {"docker": "no more processes|Resource temporarily unavailable", "process": "more than 256 processes"},
    "eat": {"docker": "out of memory.*1024 MB", "process": "MemoryError"},
    "fill": {"docker": "more than 64 MB", "process": "more than 64 MB"},
    "babble": {"docker": "is not valid", "process": "is not valid"},
}
HUSH = "what-nobody-may-see"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What keeps the scenes from everything."""
    return str(request.param)


@pytest.fixture(scope="module")
def farm(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("caged")
    settings = Settings(folder / "data", worker=WorkerSettings(slots=2, min_free_mb=0, allow_scripts=True))
    executor = _containers(request) if kind == "docker" else _sandboxes(settings.data_dir)
    farm = make_farm(settings.data_dir, settings=settings, executor=executor)
    yield farm
    close(farm)
    executor.close()


def _containers(request: pytest.FixtureRequest) -> Executor:
    request.getfixturevalue("render_image")
    return DockerExecutor(Engine(request.getfixturevalue("docker_host")), BARS)


def _sandboxes(data_dir: Path) -> Executor:
    if landlock_version() < 6:
        lacking("needs a kernel with Landlock (Linux 5.13 or newer, for all of this 6.12)")
    forbidden = ForbiddenPaths(data_dir, data_dir / "scratch")
    options = SandboxOptions(
        forbidden, memory_mb=2 * (BARS.memory_mb or 0), scratch_mb=BARS.scratch_mb, processes=BARS.pids
    )
    return ProcessExecutor(data_dir.parent / "drivers", sandbox=options)


@pytest.fixture(scope="module")
def hostile(farm: Farm) -> Model:
    return _uploaded(farm, "acceptance/hostile_scene.py")


@pytest.fixture(scope="module")
def honest(farm: Farm) -> Model:
    return _uploaded(farm, "quick_scene.py")


@pytest.fixture(scope="module")
def worker(farm: Farm, hostile: Model, honest: Model) -> Iterator[Worker]:
    with at_work(farm) as worker:
        yield worker


def _uploaded(farm: Farm, maker: str) -> Model:
    scene = farm.settings.data_dir.parent / f"{Path(maker).stem}.blend"
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "tests" / maker), str(scene)]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"})
    return upload(farm, ACTOR, UploadRequest(scene)).model


def deed(farm: Farm, model: Model, *words: str, trusted: bool = True) -> Job:
    """A job whose scene does the deed; its end."""
    options = RenderOptions(trust_scripts=trusted, settings={"render.stamp_note_text": " ".join(words)})
    job = given_job(farm, "1", model=model, options=options, max_attempts=1)
    return ended(farm, job)


def ended(farm: Farm, job: Job) -> Job:
    wait_for(farm, lambda: farm.repository.jobs.get(job.id).state in (JobState.SUCCEEDED, JobState.FAILED), 240)
    return farm.repository.jobs.get(job.id)


def log_of(farm: Farm, job: Job) -> str:
    return b"".join(kept_log(farm, farm.repository.attempts.of_job(job.id)[-1])).decode()


def reason(farm: Farm, job: Job) -> str:
    assert job.state is JobState.FAILED
    return str(farm.repository.attempts.of_job(job.id)[-1].error)


def test_a_scene_reaches_nothing_but_its_own_folders(
    farm: Farm, worker: Worker, hostile: Model, kind: str, request: pytest.FixtureRequest
) -> None:
    config = farm.settings.data_dir / "renderctl.yaml"
    config.write_text(HUSH)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("", 0)))
        listener.settimeout(0)
        # a setting holds 255 characters: the folder of all the farm's files stands for each of them
        own = str(os.getpid()) if kind == "process" else "0"  # a container's processes are others
        engine = str(config.parent / "engine.sock")
        if kind == "docker":
            engine = request.getfixturevalue("docker_host").removeprefix("unix://")
        else:
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.bind(engine)
            local.listen()
        job = deed(farm, hostile, "look", str(listener.getsockname()[1]), own, str(config.parent), engine)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert job.state is JobState.SUCCEEDED, reason(farm, job)
    log = log_of(farm, job)
    assert HUSH not in log
    (line,) = (each for each in log.splitlines() if each.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    assert found.pop("environment") == []
    assert found.pop("others") in ("PermissionError", "done: 1", "done: 2", "done: 3")
    if kind == "process":  # trusted scripts have copies of their scene, to do as they like
        assert found.pop("scene").startswith("done")
        (copies,) = (what for what in found if what.startswith("write ") and "/model" in what)
        assert found.pop(copies).startswith("done")
    data = found.pop(str(config.parent))
    assert data.endswith("Error") or "renderctl" not in data, data  # no more than the way to its own folders
    assert {what: came for what, came in found.items() if came.startswith("done")} == {}


def test_without_trust_its_script_does_not_even_start(farm: Farm, worker: Worker, hostile: Model) -> None:
    job = deed(farm, hostile, "look", "1", "0", trusted=False)
    assert job.state is JobState.SUCCEEDED
    assert "FOUND" not in log_of(farm, job)
    assert any("Scripts were blocked" in note for note in job.notes)


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_a_scene_takes_too_much_of_ends_it_and_nobody_else(
    farm: Farm, worker: Worker, hostile: Model, honest: Model, what: str, kind: str
) -> None:
    other = given_job(farm, "1-3", model=honest)
    job, expected = deed(farm, hostile, what), TOO_MUCH[what][kind]
    # a script that fails is Blender's to tell: the frame is rendered, and the log says it
    told = reason(farm, job) if job.state is JobState.FAILED else log_of(farm, job)
    assert re.search(expected, told), told
    assert ended(farm, other).state is JobState.SUCCEEDED


def test_no_file_of_the_host_becomes_a_result_or_a_log(farm: Farm, worker: Worker, hostile: Model) -> None:
    secret = farm.settings.data_dir.parent / "secret"
    secret.write_text(HUSH)
    for what, told in {"link": "no file", "climb": "a file called"}.items():
        job = deed(farm, hostile, what, str(secret))
        assert told in reason(farm, job)
        assert HUSH not in log_of(farm, job)
        assert farm.repository.outputs.of_job(job.id)[0] == []
    job = deed(farm, hostile, "swap", str(secret))
    assert HUSH not in log_of(farm, job)
    assert secret.read_text() == HUSH


def test_nothing_that_a_scene_started_outlives_its_session(farm: Farm, worker: Worker, hostile: Model) -> None:
    token = secrets.token_hex(8)
    job = deed(farm, hostile, "outlive", token)
    assert job.state is JobState.SUCCEEDED, reason(farm, job)
    assert _alive(token)
    worker.drain()
    wait_for(farm, lambda: not _alive(token), 60)


def _alive(token: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if token in (process.info["cmdline"] or ()):
            found.append(process)
    return found
