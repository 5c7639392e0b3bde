"""Whole jobs of scenes that mean harm, on a worker of this machine: what becomes of them, and what is published."""

from collections.abc import Callable

import pytest

from renderctl.core.jobs import RenderOptions, TaskCounts
from renderctl.core.models import Model
from renderctl.core.states import JobState
from renderctl.farm import Farm
from tests.farms import given_job, work_off

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_a_job_that_needs_osl_fails_before_its_first_frame_unless_it_is_trusted_and_allowed(
    rendering_farm: Farm, uploaded: Callable[[str], Model]
) -> None:
    farm, model = rendering_farm, uploaded("shader")
    trusted = RenderOptions(trust_scripts=True)
    plain, refused = given_job(farm, "1-100", model=model), given_job(farm, "1-100", model=model, options=trusted)
    work_off(farm, allow_scripts=False)
    for job in (plain, refused):
        ended = farm.repository.jobs.get(job.id)
        assert ended.state is JobState.FAILED
        assert "--trust-scripts allows them, if the worker does" in (ended.error or "")
        assert farm.repository.tasks.counts(job.id) == TaskCounts(failed=1, canceled=99)
    allowed = given_job(farm, "1", model=model, options=trusted)
    work_off(farm, allow_scripts=True)
    assert farm.repository.jobs.get(allowed.id).state is JobState.SUCCEEDED


def test_what_the_scene_of_a_strip_writes_is_published_with_the_frame(
    rendering_farm: Farm, uploaded: Callable[[str], Model]
) -> None:
    job = given_job(rendering_farm, "1", model=uploaded("outputs"), options=RenderOptions(scene="Shown"))
    work_off(rendering_farm)
    assert rendering_farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    outputs, _ = rendering_farm.repository.outputs.of_job(job.id)
    assert sorted(output.name for output in outputs) == ["0001.png", "Strip_Image_0001.png"]
