"""What users and projects have is summed up from indexes alone, however many jobs they have."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from renderctl.core.quotas import Holder
from renderctl.farm import Farm
from renderctl.repository.quotas import _open_work, _rendered
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import jobs
from tests.farms import given_job

JOBS = 400


def given_many_jobs(farm: Farm) -> str:
    """Their owner, who has others' jobs beside theirs."""
    job = given_job(farm, "1-3")
    with farm.repository.database.engine.begin() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job.id)).one()._asdict()
        owners = (job.owner, "bob")
        rows = [row | {"id": f"{owner}{n}", "owner": owner, "project": owner} for owner in owners for n in range(JOBS)]
        connection.execute(insert(jobs), rows)
        connection.execute(insert(job_counts), [{"job_id": row["id"], "shard": 0, "queued": 3} for row in rows])
        connection.exec_driver_sql("ANALYZE" if connection.dialect.name == "sqlite" else "ANALYZE TABLE job, job_count")
    return job.owner


def plans_of(farm: Farm, work: Callable[[Connection], object]) -> list[str]:
    """How the database goes about each statement of the work, as far as it is about jobs."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(farm.repository.database.engine, "before_cursor_execute", note)
    farm.repository.database.read(work)
    event.remove(farm.repository.database.engine, "before_cursor_execute", note)

    def explained(connection: Connection) -> list[str]:
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        return [
            " ".join(map(str, row))
            for statement, parameters in asked
            for row in connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
        ]

    plans = [plan for plan in farm.repository.database.read(explained) if " job " in f" {plan} "]
    assert plans
    return plans


@pytest.mark.parametrize("kind", ["user", "project"])
def test_open_jobs_and_tasks_are_summed_up_from_an_index(farm: Farm, kind: str) -> None:
    owner = given_many_jobs(farm)
    holder = Holder(kind, owner if kind == "user" else "bob")
    for plan in plans_of(farm, lambda connection: _open_work(connection, holder)):
        assert "COVERING INDEX" in plan or "Using index" in plan, plan


def test_what_was_rendered_is_summed_up_from_an_index(farm: Farm) -> None:
    """On MySQL without the rows of jobs; SQLite looks them up for their ids."""
    holder = Holder("user", given_many_jobs(farm))
    for plan in plans_of(farm, lambda connection: _rendered(connection, holder)):
        assert "USING INDEX ix_job_owner_bytes" in plan or "COVERING INDEX" in plan or "Using index" in plan, plan
