"""Deeds a second by many people at once: what the chain of the audit log costs, beside the same without entries.

Needs a server: `python -m tests.services -- python -m benchmarks deeds`.
"""

import statistics
import threading
import time
from collections.abc import Callable

from benchmarks.farms import ACTOR, given_job, given_model
from benchmarks.timing import empty_folder
from renderctl.core.jobs import Job
from renderctl.core.settings import DatabaseSettings, Settings
from renderctl.farm import Farm
from renderctl.repository.schema.jobs import jobs
from renderctl.wiring import open_farm
from tests.services import MariaDb
from tests.services.fixtures import url_of
from tests.services.fresh import fresh_mysql

_PEOPLE, _DEEDS = (1, 8, 32), 100


def main() -> None:
    with empty_folder() as folder, fresh_mysql(url_of(MariaDb)) as url:
        farm: Farm = open_farm(Settings(folder, database=DatabaseSettings(url)))
        model = given_model(farm)
        steered = [given_job(farm, model, "1-10") for _ in range(max(_PEOPLE))]
        for people in _PEOPLE:
            rates = {deed: [_rate(farm, steered[:people], deed) for _ in range(3)] for deed in (_chained, _bare)}
            chained, bare = (statistics.median(each) for each in rates.values())
            told = f"{chained:.0f} deeds/s in the chain, {bare:.0f}/s without entries: {bare / chained:.2f} times"
            print(f"MySQL, {people} at once: {told}", flush=True)
        farm.repository.close()


def _rate(farm: Farm, steered: list[Job], deed: Callable[[Farm, str, int], None]) -> float:
    """Deeds a second, of one person a job."""

    def steer(job_id: str) -> None:
        for number in range(_DEEDS):
            deed(farm, job_id, number % 10)

    threads = [threading.Thread(target=steer, args=(job.id,)) for job in steered]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(steered) * _DEEDS / (time.perf_counter() - began)


def _chained(farm: Farm, job_id: str, priority: int) -> None:
    farm.repository.jobs.set_priority(job_id, priority, actor=ACTOR)


def _bare(farm: Farm, job_id: str, priority: int) -> None:
    """The same to the job, and not a word of it."""
    change = jobs.update().where(jobs.c.id == job_id).values(priority=priority)
    farm.repository.database.durable_write(lambda connection: connection.execute(change) and None)
