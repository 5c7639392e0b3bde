"""A worker that was taken for dead and comes back late finds its work done by others."""

from pathlib import Path

import pytest

from renderctl.core.jobs import RenderOptions
from renderctl.core.states import AttemptState
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.repository.schema.jobs import attempts
from tests.chaos.verdict import connected, require_cleared, require_whole, rows, wait_for_end
from tests.nodes import LIMIT_S, Site, until

pytestmark = [pytest.mark.chaos, pytest.mark.blender]


def given_slow_job(site: Site, samples: int) -> tuple[Farm, str]:
    connection = connected(site)
    model = connection.farm.repository.models.find("slow")
    request = SubmitRequest(frames="1", options=RenderOptions(samples=samples))
    return connection.farm, connection.submit(model, request).job.id


def states(farm: Farm, job_id: str) -> list[str]:
    return [row.state for row in rows(farm, attempts, job_id)]


def test_a_zombie_whose_frame_is_done_can_not_publish_it(site: Site, tmp_path: Path) -> None:
    farm, job_id = given_slow_job(site, samples=10000)
    late = site.start_worker("late")
    until(lambda: "CYCLES" in late.log.read_text(), 30, what="a scene that is open")
    # its Blender goes on, and its answer waits for the worker
    late.freeze_between_transactions(site.data / "renderctl.db")
    heir = site.start_worker("heir")
    wait_for_end(farm, job_id, 120 * LIMIT_S)
    late.thaw()
    assert (late.end(), heir.end()) == (0, 0)
    assert states(farm, job_id) == [AttemptState.LOST, AttemptState.SUCCEEDED]
    require_whole(farm, job_id, tmp_path / "images")
    require_cleared(site)


def test_a_second_start_under_the_same_name_fences_the_first(site: Site, tmp_path: Path) -> None:
    farm, job_id = given_slow_job(site, samples=10000)
    first = site.start_worker("twice")
    until(lambda: states(farm, job_id) == [AttemptState.RUNNING], 30, what="a running frame")
    first.kill()
    second = site.start_worker("twice")
    wait_for_end(farm, job_id, 120 * LIMIT_S)
    assert second.end() == 0
    lost = [row.error for row in rows(farm, attempts, job_id) if row.state == AttemptState.LOST]
    assert lost == ["its worker was started again"]
    require_whole(farm, job_id, tmp_path / "images")
    require_cleared(site)
