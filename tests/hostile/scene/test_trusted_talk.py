"""A script that the job trusts speaks to the worker in place of its Blender: that job fails, and nothing else."""

from collections.abc import Callable

import pytest

from renderctl.core.jobs import Job, RenderOptions
from renderctl.core.models import Model
from renderctl.core.states import ENDED_JOB, JobState
from renderctl.farm import Farm
from tests.farms import at_work, given_job, wait_for

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def test_no_word_of_a_trusted_script_ends_the_worker(rendering_farm: Farm, uploaded: Callable[[str], Model]) -> None:
    farm, model = rendering_farm, uploaded("talking")

    def rendered(words: str) -> Job:
        options = RenderOptions(trust_scripts=True, settings={"render.stamp_note_text": words})
        job = given_job(farm, "1", model=model, options=options, max_attempts=1)
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state in ENDED_JOB, 60)
        return farm.repository.jobs.get(job.id)

    with at_work(farm, allow_scripts=True) as worker:
        for words in ("empty", "deep", "nul", "huge"):
            ended = rendered(words)
            assert ended.state is JobState.FAILED
            assert "scripts have interfered" in (ended.error or ""), words
        assert rendered("nothing").state is JobState.SUCCEEDED
        assert not worker.wait(0.0)
