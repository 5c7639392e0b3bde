"""What fills big tables: jobs that are as the farm itself would have left them."""

from pathlib import Path

import pytest

from renderctl.core.states import TaskState
from tests.big_tables import HUGE, RUNNING, fill
from tests.databases import farm_on
from tests.farms import close, given_worker

_DIVISOR = 100


@pytest.mark.slow
def test_big_tables_hold_jobs_that_go_on(database_url: str, tmp_path: Path) -> None:
    farm = farm_on(database_url, tmp_path)
    repository = farm.repository
    fill(repository.database.engine, divisor=_DIVISOR)
    huge, running = HUGE.smaller(_DIVISOR).job_id(1), RUNNING.smaller(_DIVISOR).job_id(1)
    assert repository.tasks.counts(huge).total == HUGE.smaller(_DIVISOR).task_count
    assert len(repository.attempts.running(huge)) == repository.tasks.counts(huge).running == 2
    assert repository.outputs.count(huge) == repository.tasks.counts(huge).succeeded == 6000
    assert repository.tasks.of_job(running, states=[TaskState.RUNNING])
    assert repository.attempts.claim(huge, given_worker(farm, "new")).attempts
    assert not repository.recovery.finishable_jobs()
    assert not repository.count_checks.find_wrong()
    close(farm)
