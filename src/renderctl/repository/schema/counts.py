"""The table of counts: what a job's tasks, attempts and outputs come to, kept where they change."""

from sqlalchemy import BigInteger
from sqlmodel import Field

from renderctl.repository.schema.jobs import Row, table_of


def _count() -> int:
    count: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    return count


class JobCountRow(Row, table=True):
    """A shard of the counts of a job, which are the sums of its shards: one alone may be below 0.

    No foreign key: that would have whoever counts wait for whoever holds the job.
    """

    __tablename__ = "job_count"

    job_id: str = Field(primary_key=True, max_length=20)
    shard: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    # tasks, by state
    blocked: int = _count()
    queued: int = _count()
    running: int = _count()
    succeeded: int = _count()
    failed: int = _count()
    canceled: int = _count()
    # attempts that have ended, by state; the open ones are few, and have an index
    attempts_succeeded: int = _count()
    attempts_failed: int = _count()
    attempts_canceled: int = _count()
    attempts_lost: int = _count()
    attempts_released: int = _count()
    outputs: int = _count()
    output_bytes: int = _count()


job_counts = table_of(JobCountRow)
