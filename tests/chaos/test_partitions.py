"""Nodes that can not reach the truth for a while, and nodes that do not know what time it is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from renderctl.core.actors import local_actor
from renderctl.core.states import AttemptState, WorkerState
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.repository.schema.jobs import attempts
from tests.chaos.network import require_namespaces
from tests.chaos.site import LIMIT_S, ServedSite, Servers
from tests.chaos.verdict import connected, require_cleared, require_quiet, require_whole, rows, wait_for_end
from tests.fake_blender import SIZE
from tests.farms import given_model
from tests.nodes import CLOCK, until

pytestmark = [pytest.mark.chaos, pytest.mark.services]
_WITHIN_S = 120.0


@pytest.fixture
def farm(served: ServedSite) -> Iterator[Farm]:
    with closing(connected(served)) as connection:
        yield connection.farm


def given_frames(farm: Farm, frames: str) -> str:
    return submit(farm, local_actor("chaos"), given_model(farm), SubmitRequest(frames=frames)).job.id


def tried(farm: Farm, job_id: str) -> dict[str, str]:
    """The state of every attempt."""
    return {row.id: row.state for row in rows(farm, attempts, job_id)}


def wait_until_running(farm: Farm, job_id: str, count: int) -> list[str]:
    """The attempts that Blender works on, once there are so many."""

    def running() -> list[str]:
        return [each for each, state in tried(farm, job_id).items() if state == AttemptState.RUNNING]

    until(lambda: len(running()) == count, 30, what=f"{count} running frames")
    return running()


def is_present(farm: Farm, worker_id: str) -> bool:
    return any(
        worker.id == worker_id and worker.state is WorkerState.ACTIVE for worker in farm.repository.workers.all()
    )


def require_all_well(farm: Farm, job_id: str, site: ServedSite, folder: Path) -> None:
    require_whole(farm, job_id, folder, SIZE)
    require_cleared(site)
    require_quiet(site)


def test_results_of_a_long_database_outage_are_kept_and_committed(
    farm: Farm, served: ServedSite, servers: Servers, tmp_path: Path
) -> None:
    served.cables = {}
    job_id = given_frames(farm, "1-4")
    nodes = [served.start_worker(name, "--frame-s", "2") for name in ("n1", "n2")]
    held = wait_until_running(farm, job_id, 2)
    servers.database.kill()
    CLOCK.wait(None, 3 * LIMIT_S)
    servers.database.start()
    wait_for_end(farm, job_id, _WITHIN_S)
    ends = tried(farm, job_id)
    assert {ends[each] for each in held} == {AttemptState.SUCCEEDED}
    assert AttemptState.LOST not in ends.values()
    assert [node.end() for node in nodes] == [0, 0]
    require_all_well(farm, job_id, served, tmp_path / "images")


def test_a_node_whose_network_comes_back_late_can_not_publish_what_others_have_done(
    farm: Farm, served: ServedSite, tmp_path: Path
) -> None:
    require_namespaces()
    job_id = given_frames(farm, "1")
    zombie = served.start_worker("n1", "--frame-s", "2")
    wait_until_running(farm, job_id, 1)
    served.cables["n1"].cut()
    heir = served.start_worker("n2")
    wait_for_end(farm, job_id, _WITHIN_S)
    served.cables["n1"].mend()
    until(lambda: is_present(farm, "n1"), _WITHIN_S, what="a zombie that is back")
    assert [zombie.end(), heir.end()] == [0, 0]
    assert sorted(tried(farm, job_id).values()) == [AttemptState.LOST, AttemptState.SUCCEEDED]
    require_all_well(farm, job_id, served, tmp_path / "images")


def test_clocks_that_are_hours_apart_change_nothing(farm: Farm, served: ServedSite, tmp_path: Path) -> None:
    served.cables = {}
    served.skew("n1", -3600)
    served.skew("n2", 3600)
    job_id = given_frames(farm, "1-60")
    nodes = [served.start_worker(name, "--frame-s", "0.1") for name in ("n1", "n2", "n3")]
    wait_for_end(farm, job_id, _WITHIN_S)
    assert [node.end() for node in nodes] == [0, 0, 0]
    ends = list(tried(farm, job_id).values())
    assert (ends.count(AttemptState.SUCCEEDED), ends.count(AttemptState.LOST)) == (60, 0)
    assert {row.worker_id for row in rows(farm, attempts, job_id)} == {"n1", "n2", "n3"}
    require_all_well(farm, job_id, served, tmp_path / "images")
