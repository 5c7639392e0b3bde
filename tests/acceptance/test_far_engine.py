"""An engine that does not see our disk, as one on another machine: files are carried in and out."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.settings import Settings, WorkerSettings
from renderctl.core.states import JobState
from renderctl.executors import LaunchSpec
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.images import RenderImage
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.farm.models.upload import UploadRequest, upload
from tests.farms import ACTOR, close, given_job, make_farm, work_until
from tests.services.own_engine import own_engine

pytestmark = [pytest.mark.containers, pytest.mark.blender, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("far")


@pytest.fixture(scope="module")
def executor(folder: Path, docker_host: str, render_image: RenderImage) -> Iterator[DockerExecutor]:
    with own_engine(docker_host, render_image) as engine:
        engine.hide(folder)
        executor = DockerExecutor(Engine(engine.url), ResourceLimits(memory_mb=1024, scratch_mb=64))
        yield executor
        executor.close()


@pytest.fixture(scope="module")
def farm(folder: Path, executor: DockerExecutor) -> Iterator[Farm]:
    settings = Settings(folder / "data", worker=WorkerSettings(min_free_mb=0))
    farm = make_farm(settings.data_dir, settings=settings, executor=executor)
    yield farm
    close(farm)


def test_a_job_is_rendered_by_an_engine_with_another_disk(farm: Farm, folder: Path, scene: Path) -> None:
    (folder / "scenes").mkdir()
    shutil.copy(scene, folder / "scenes")
    model = upload(farm, ACTOR, UploadRequest(folder / "scenes" / scene.name)).model
    job = given_job(farm, "1-3", model=model)
    work_until(farm, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    outputs, _ = farm.repository.outputs.of_job(job.id)
    assert [each.frame for each in outputs] == [1, 2, 3]
    assert all(each.image == farm.executor.images()[0].digest for each in outputs)  # type: ignore[index]
    assert "renders frame" in b"".join(kept_log(farm, farm.repository.attempts.of_job(job.id)[-1])).decode()


def test_what_is_carried_in_is_not_to_be_written_to(
    executor: DockerExecutor, folder: Path, render_image: RenderImage
) -> None:
    model = folder / "model"
    model.mkdir()
    (model / "file").write_text("vertices")
    script = (
        "import sys\n"
        "print(open('MODEL/file').read())\n"
        "for path in ('MODEL/file', 'MODEL/new', '/new'):\n"
        "    try: open(path, 'w'); print('written')\n"
        "    except OSError: print('refused')\n"
        "open('mine', 'w').write('fine'); print(open('delivered').read()); sys.stdin.readline()"
    ).replace("MODEL", str(model))
    scratch = folder / "scratch"
    scratch.mkdir()
    (scratch / "delivered").write_text("early")
    argv = (str(render_image.program), "-u", "-c", script)
    launch = LaunchSpec(argv, scratch, folder / "launch.log", inputs=(model,), image=render_image.digest)
    session = executor.start(launch)
    try:
        assert [session.receive(60) for _ in range(5)] == ["vertices", "refused", "refused", "refused", "early"]
        session.fetch(scratch / "mine")
        assert (scratch / "mine").read_text() == "fine"
    finally:
        session.stop()
