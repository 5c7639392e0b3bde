"""From a submission to its first claim by a worker that is idle, on real services; both times are the database's."""

import statistics
from contextlib import ExitStack
from typing import Any

from sqlalchemy import select

from benchmarks.against_celery import real_worker
from benchmarks.services import service_site
from renderctl.core.states import ENDED_JOB
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.repository.schema.jobs import attempts, jobs
from tests.farms import ACTOR, given_model

_JOBS = 300


def main() -> None:
    with service_site() as site, ExitStack() as stack:
        stack.enter_context(real_worker(site, "idle"))
        farm = stack.enter_context(site.farm())
        model = given_model(farm)
        for number in range(_JOBS):
            job = submit(farm, ACTOR, model, SubmitRequest(frames=str(number))).job
            while farm.repository.jobs.get(job.id).state not in ENDED_JOB:
                farm.clock.wait(None, 0.01)
        waits = sorted(_waits(farm))
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"submit to first claim, {len(waits)} jobs, one idle worker: median {1000 * statistics.median(waits):.1f} ms "
        f"(aim 50), p99 {1000 * p99:.1f} ms (aim 250), longest {1000 * waits[-1]:.1f} ms"
    )


def _waits(farm: Any) -> list[float]:
    """Seconds, a job each."""
    query = select(jobs.c.created_at, attempts.c.claimed_at).join(attempts, attempts.c.job_id == jobs.c.id)
    rows = farm.repository.database.read(lambda connection: connection.execute(query).all())
    return [(row.claimed_at - row.created_at).total_seconds() for row in rows]
