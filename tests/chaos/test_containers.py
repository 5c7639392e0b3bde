"""Workers whose Blenders are containers: what befalls these and their engine loses no frame and doubles none."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from renderctl.core.states import AttemptState
from renderctl.executors.images import RenderImage
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.repository.schema.jobs import attempts
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
    model = connection.farm.repository.models.find("quick")
    request = SubmitRequest(frames=f"1-{FRAMES}", max_attempts=ATTEMPTS)
    return connection.farm, connection.submit(model, request).job.id


def containers(engine: DockerEngine) -> list[Any]:
    with closing(docker.DockerClient(engine.url)) as client:
        return list(client.containers.list(all=True))


def wait_for_frames(farm: Farm, job_id: str, count: int) -> None:
    until(lambda: farm.repository.tasks.counts(job_id).succeeded >= count, WITHIN_S, what=f"{count} frames")


def test_what_befalls_containers_workers_and_their_engine_loses_no_frame_and_doubles_none(
    caged: Site, engine: DockerEngine, seed: int, tmp_path: Path, tally: Callable[[Mapping[str, int]], None]
) -> None:
    chance = random.Random(seed)
    farm, job_id = given_job(caged)
    workers = {name: caged.start_worker(name) for name in ("w1", "w2")}
    harms: dict[str, Callable[[], None]] = {
        "container killed": lambda: _kill_container(engine, farm, job_id),
        "worker of containers killed": lambda: _kill_worker(caged, workers, chance.choice(sorted(workers))),
        "Docker killed": lambda: _kill_daemon(engine),
        "Docker restarted": engine.restart_daemon,
        "job of containers paused and resumed": lambda: _pause_and_resume(caged, job_id),
    }
    chosen = list(harms)[:-1]  # seed 0: one after the other
    frames = [1 + number * FRAMES // (len(chosen) + 1) for number in range(len(chosen))]
    if seed:
        chosen = [*harms, *chance.choices(sorted(harms), k=chance.randint(0, 2))]
        chance.shuffle(chosen)
        frames = sorted(chance.randint(1, FRAMES * 2 // 3) for _ in chosen)
    for count, harm in zip(frames, chosen, strict=True):
        wait_for_frames(farm, job_id, count)
        print(f"seed {seed}: {harm} after {count} frames")
        harms[harm]()
    wait_for_end(farm, job_id, WITHIN_S)
    ends = require_whole(farm, job_id, tmp_path / "images")
    assert [worker.end() for worker in workers.values()] == [0, 0]
    assert containers(engine) == []
    require_quiet(caged)
    tally(Counter(chosen) + Counter({f"attempts {state}": count for state, count in ends.items()}))


def test_a_start_after_a_kill_ends_the_containers_that_were_left(caged: Site, engine: DockerEngine) -> None:
    farm, job_id = given_job(caged)
    worker = caged.start_worker("w1")
    wait_for_frames(farm, job_id, 1)
    worker.kill()
    assert containers(engine) != []
    farm.repository.jobs.cancel(job_id, actor=connected(caged).actor)
    caged.clear()  # any worker of the node
    assert containers(engine) == []
    assert caged.scratches() == []


def _kill_container(engine: DockerEngine, farm: Farm, job_id: str) -> None:
    """The oldest, which renders, while another worker may still look whether its Blender starts; and wait for the word.

    The worker that has to say it may be the next one to be killed.
    """

    def is_told() -> bool:
        failed = [row for row in rows(farm, attempts, job_id) if row.state == AttemptState.FAILED]
        return any("Another client" in str(row.error) for row in failed)

    with closing(docker.DockerClient(engine.url)) as client:
        client.containers.list()[-1].kill()
    until(is_told, 60.0, what="the reason")


def _pause_and_resume(site: Site, job_id: str) -> None:
    """What runs is finished, and the rest goes on."""
    with closing(connected(site)) as connection:
        connection.pause(job_id)
        connection.resume(job_id)


def _kill_worker(site: Site, workers: dict[str, Node], name: str) -> None:
    workers[name].kill()
    workers[name] = site.start_worker(name)


def _kill_daemon(engine: DockerEngine) -> None:
    engine.kill_daemon()
    engine.start()
