"""Workers whose Blenders are containers: what befalls these and their engine loses no frame and doubles none."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from renderctl.executors.images import RenderImage
from renderctl.farm import Farm
from renderctl.farm.submit import SubmitRequest
from renderctl.repository.tables import attempts
from renderctl.states import AttemptState
from tests.chaos.job_factory import ATTEMPTS
from tests.chaos.verdict import connected, require_quiet, require_whole, rows, wait_for_end
from tests.nodes import Node, Site, until
from tests.services import DockerEngine
from tests.services.own_engine import own_engine

pytestmark = [pytest.mark.chaos, pytest.mark.containers, pytest.mark.blender, pytest.mark.timeout(900)]
FRAMES = 30
WITHIN_S = 300.0


@pytest.fixture(scope="module")
def engine(docker_host: str, render_image: RenderImage) -> Iterator[DockerEngine]:
    """One that nobody else uses, with the image of the other."""
    with own_engine(docker_host, render_image) as engine:
        yield engine


@pytest.fixture
def caged(site: Site, engine: DockerEngine) -> Site:
    """A farm whose workers start containers of that engine."""
    site.services = {
        **site.services,
        "RENDERCTL_EXECUTOR__KIND": "docker",
        "RENDERCTL_EXECUTOR__HOST": engine.url,
        "RENDERCTL_EXECUTOR__MEMORY_MB": "1500",
        "RENDERCTL_WORKER__MIN_FREE_MB": "0",
    }
    return site


def given_job(site: Site) -> tuple[Farm, str]:
    connection = connected(site)
    model = connection.farm.repository.find_model("quick")
    request = SubmitRequest(frames=f"1-{FRAMES}", max_attempts=ATTEMPTS)
    return connection.farm, connection.submit(model, request).job.id


def containers(engine: DockerEngine) -> list[Any]:
    with closing(docker.DockerClient(engine.url)) as client:
        return list(client.containers.list(all=True))


def wait_for_frames(farm: Farm, job_id: str, count: int) -> None:
    until(lambda: farm.repository.counts(job_id).succeeded >= count, WITHIN_S, what=f"{count} frames")


def test_what_befalls_containers_workers_and_their_engine_loses_no_frame_and_doubles_none(
    caged: Site, engine: DockerEngine, tmp_path: Path, tally: Callable[[Mapping[str, int]], None]
) -> None:
    farm, job_id = given_job(caged)
    workers = {name: caged.start_worker(name) for name in ("w1", "w2")}
    deeds: tuple[Callable[[], None], ...] = (
        lambda: _kill_container(engine, farm, job_id),
        lambda: _kill_worker(caged, workers, "w1"),
        lambda: _kill_daemon(engine),
        engine.restart_daemon,
    )
    for number, deed in enumerate(deeds):
        wait_for_frames(farm, job_id, 1 + number * FRAMES // (len(deeds) + 1))
        deed()
    wait_for_end(farm, job_id, WITHIN_S)
    ends = require_whole(farm, job_id, tmp_path / "images")
    assert [worker.end() for worker in workers.values()] == [0, 0]
    assert containers(engine) == []
    require_quiet(caged)
    tally({f"attempts {state}": count for state, count in ends.items()})


def test_a_start_after_a_kill_ends_the_containers_that_were_left(caged: Site, engine: DockerEngine) -> None:
    farm, job_id = given_job(caged)
    worker = caged.start_worker("w1")
    wait_for_frames(farm, job_id, 1)
    worker.kill()
    assert containers(engine) != []
    farm.repository.cancel(job_id, actor=connected(caged).actor)
    caged.clear()  # any worker of the node
    assert containers(engine) == []
    assert caged.scratches() == []


def _kill_container(engine: DockerEngine, farm: Farm, job_id: str) -> None:
    """The oldest, which renders, while another worker may still look whether its Blender starts; and wait for the word.

    The worker that has to say it may be the next one to be killed.
    """

    def is_told() -> bool:
        failed = [row for row in rows(farm, attempts, job_id) if row.state == AttemptState.FAILED]
        return any("Somebody" in str(row.error) for row in failed)

    with closing(docker.DockerClient(engine.url)) as client:
        client.containers.list()[-1].kill()
    until(is_told, 60.0, what="the reason")


def _kill_worker(site: Site, workers: dict[str, Node], name: str) -> None:
    workers[name].kill()
    workers[name] = site.start_worker(name)


def _kill_daemon(engine: DockerEngine) -> None:
    engine.kill_daemon()
    engine.start()
