"""The tables. Times are UTC with microseconds; a task's key is its job and its number in it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    Table,
    Text,
    TypeDecorator,
    select,
)
from sqlalchemy.dialects import mysql
from sqlmodel import Field, SQLModel


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in Python; naive UTC with microseconds in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        try:
            return value.astimezone(UTC).replace(tzinfo=None) if value else None
        except OverflowError:  # at either end of what datetime can express: a day makes no difference
            return value.replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


#: Texts of any length: MySQL's own TEXT ends at 64 KiB.
LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
#: 64 bits where that matters, and SQLite's own row id.
BigKey = BigInteger().with_variant(Integer(), "sqlite")


class Row(SQLModel):
    """The base of the rows: what would check the values of one is built when the first one is made.

    None is: rows describe the tables, and statements are made of those. To build it took a tenth of the imports.
    """

    model_config = {"defer_build": True}


class ModelRow(Row, table=True):
    __tablename__ = "model"
    __table_args__ = (Index("ux_model_version", "project", "name", "version", unique=True),)

    id: str = Field(primary_key=True, max_length=20)
    name: str = Field(max_length=255)
    project: str = Field(max_length=255)
    version: int
    owner: str = Field(max_length=255, index=True)
    created_at: datetime = Field(sa_type=UtcTime)
    main: str = Field(sa_type=LONG_TEXT)
    digest: str = Field(max_length=64, index=True)
    facts: dict[str, Any] = Field(sa_type=JSON)
    listed_facts: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # large ones, abridged
    size: int = Field(sa_type=BigInteger)
    files: int


class ModelInputRow(Row, table=True):
    __tablename__ = "model_input"

    id: int | None = Field(default=None, sa_column=Column(BigKey, primary_key=True))
    model_id: str = Field(max_length=20, foreign_key="model.id", index=True)
    path: str = Field(sa_type=LONG_TEXT)
    digest: str = Field(max_length=64, index=True)
    size: int = Field(sa_type=BigInteger)


class JobRow(Row, table=True):
    __tablename__ = "job"
    __table_args__ = (
        Index("ux_job_idempotency", "owner", "idempotency_key", unique=True),
        Index(
            "ix_job_claimable",
            *("state", "pool", "requirement_key", "claimable_at", "priority", "served_at", "bound_to"),
        ),
        Index("ix_job_owner", "owner", "state", "task_count"),
        Index("ix_job_project", "project", "state", "task_count"),
        Index("ix_job_owner_bytes", "owner", "removed_at", "output_bytes", "finished_at", "started_at"),
        Index("ix_job_project_bytes", "project", "removed_at", "output_bytes", "finished_at", "started_at"),
        Index("ix_job_present", "removed_at", "state"),
        Index("ix_job_ended", "state", "finished_at"),
        Index("ix_job_stopped", "state", "stop_settled"),
    )

    id: str = Field(primary_key=True, max_length=20)
    name: str = Field(max_length=255, index=True)
    state: str = Field(max_length=16)
    model_id: str = Field(max_length=20, foreign_key="model.id", index=True)
    model: str = Field(max_length=255)
    options: dict[str, Any] = Field(sa_type=JSON)
    frames: str = Field(sa_type=LONG_TEXT)
    cameras: list[str | None] = Field(sa_type=JSON)
    project: str = Field(max_length=255)
    owner: str = Field(max_length=255)
    pool: str = Field(max_length=255)
    priority: int
    max_slots: int | None = None
    max_attempts: int
    frame_timeout_s: float | None = Field(default=None, sa_type=Double)
    in_order: bool = False
    requirements: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    requirement_key: str = Field(default="", max_length=32, sa_column_kwargs={"server_default": ""})
    refusals: int = Field(
        default=0, sa_column_kwargs={"server_default": "0"}
    )  # of its ticket in a row, by workers that lack what it requires
    bound_to: str | None = Field(default=None, max_length=255)
    serial: int = 1
    created_at: datetime = Field(sa_type=UtcTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcTime)
    served_at: datetime | None = Field(default=None, sa_type=UtcTime)
    # From when on idle slots look at it, as `claim_times` has it; None: no task of it is queued.
    claimable_at: datetime | None = Field(default=None, sa_type=UtcTime)
    nudged_at: datetime | None = Field(default=None, sa_type=UtcTime)
    nudges: int = 0
    error: str | None = Field(default=None, sa_type=LONG_TEXT)
    #: It was stopped and none of its tasks waits: the sweep need not look at it again.
    stop_settled: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})
    pause_reason: str | None = Field(default=None, max_length=255)
    notes: list[str] = Field(sa_type=JSON)
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_digest: str | None = Field(default=None, max_length=64)
    removed_at: datetime | None = Field(default=None, sa_type=UtcTime, index=True)  # its rows are being deleted
    submitting_until: datetime | None = Field(default=None, sa_type=UtcTime)  # or, until then, are still being added
    task_count: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    output_bytes: int | None = Field(default=None, sa_type=BigInteger)  # summed up some time after its end


class JobInputRow(Row, table=True):
    __tablename__ = "job_input"

    id: int | None = Field(default=None, sa_column=Column(BigKey, primary_key=True))
    job_id: str = Field(max_length=20, foreign_key="job.id", index=True)
    path: str = Field(sa_type=LONG_TEXT)
    digest: str = Field(max_length=64, index=True)
    size: int = Field(sa_type=BigInteger)


class JobExclusionRow(Row, table=True):
    """A worker that gets no more of a job's tasks while another one could: it failed too many of them in a row."""

    __tablename__ = "job_exclusion"

    job_id: str = Field(primary_key=True, max_length=20)
    worker_id: str = Field(primary_key=True, max_length=255, index=True)
    at: datetime = Field(sa_type=UtcTime)


class JobDependencyRow(Row, table=True):
    __tablename__ = "job_dependency"

    job_id: str = Field(primary_key=True, max_length=20, foreign_key="job.id")
    after_id: str = Field(primary_key=True, max_length=20, foreign_key="job.id", index=True)
    any_end: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})  # else it has to succeed


class TaskRow(Row, table=True):
    __tablename__ = "task"
    __table_args__ = (Index("ix_task_claim", "job_id", "state", "number"),)

    job_id: str = Field(primary_key=True, max_length=20, foreign_key="job.id")
    number: int = Field(primary_key=True)
    frame: int
    camera: str | None = Field(default=None, max_length=255)
    state: str = Field(max_length=16)
    attempts: int = 0
    attempt_id: str | None = Field(default=None, max_length=24)
    not_before: datetime | None = Field(default=None, sa_type=UtcTime)
    error: str | None = Field(default=None, sa_type=LONG_TEXT)


class AttemptRow(Row, table=True):
    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_task", "job_id", "number"),
        Index("ix_attempt_job", "job_id", "state", "number"),
        Index("ix_attempt_order", "job_id", "id"),
        Index("ix_attempt_worker", "worker_id", "state"),
        Index("ix_attempt_state", "state"),
    )

    id: str = Field(primary_key=True, max_length=24)
    job_id: str = Field(max_length=20)
    number: int
    worker_id: str = Field(max_length=255)
    incarnation: str = Field(max_length=24)
    slot: int
    state: str = Field(max_length=16)
    claimed_at: datetime = Field(sa_type=UtcTime)
    seen_at: datetime = Field(sa_type=UtcTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
    progress: float = Field(default=0.0, sa_type=Double)
    seconds: float | None = Field(default=None, sa_type=Double)
    memory_mb: float | None = Field(default=None, sa_type=Double)
    device: str | None = Field(default=None, max_length=255)
    fault: str | None = Field(default=None, max_length=16)
    error: str | None = Field(default=None, sa_type=LONG_TEXT)
    log: str | None = Field(default=None, max_length=64)


class OutputRow(Row, table=True):
    __tablename__ = "output"
    # ids are never reused, so that followers of the outputs miss none that was rendered again
    __table_args__ = (
        Index("ux_output_name", "job_id", "number", "name", unique=True),
        Index("ix_output_order", "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(BigKey, primary_key=True))
    job_id: str = Field(max_length=20)
    number: int
    attempt_id: str = Field(max_length=24)
    name: str = Field(max_length=255)
    frame: int
    camera: str | None = Field(default=None, max_length=255)
    digest: str = Field(max_length=64, index=True)
    size: int = Field(sa_type=BigInteger)
    width: int | None = None
    height: int | None = None
    device: str | None = Field(default=None, max_length=255)
    image: str | None = Field(default=None, max_length=128)
    created_at: datetime = Field(sa_type=UtcTime)


class WorkerRow(Row, table=True):
    __tablename__ = "worker"
    __table_args__ = (Index("ix_worker_idle", "state", "idle"),)

    id: str = Field(primary_key=True, max_length=255)
    host: str = Field(max_length=255)
    state: str = Field(max_length=16)
    idle: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})  # one of its slots looks for work
    held: str | None = Field(default=None, max_length=16)
    reason: str | None = Field(default=None, sa_type=LONG_TEXT)
    judged_at: datetime | None = Field(default=None, sa_type=UtcTime)
    node: str | None = Field(default=None, max_length=64)
    incarnation: str = Field(max_length=24)
    slots: int
    capabilities: dict[str, Any] = Field(sa_type=JSON)
    started_at: datetime = Field(sa_type=UtcTime)
    seen_at: datetime = Field(sa_type=UtcTime)


class WorkerPoolRow(Row, table=True):
    __tablename__ = "worker_pool"

    worker_id: str = Field(primary_key=True, max_length=255, foreign_key="worker.id")
    pool: str = Field(primary_key=True, max_length=255, index=True)


class LeaseRow(Row, table=True):
    __tablename__ = "lease"

    name: str = Field(primary_key=True, max_length=64)
    holder: str = Field(max_length=255)
    since: datetime = Field(sa_type=UtcTime)
    until: datetime = Field(sa_type=UtcTime)


class BlobLeaseRow(Row, table=True):
    """Somebody has asked for a blob or is about to put it: the garbage collection leaves it alone.

    Whoever leases writes `until` alone: the rest is the garbage collection's. A blob that it is about to remove has its
    mark, which no lease takes away while it is live: who wants the blob waits, and puts it anew.
    """

    __tablename__ = "blob_lease"

    digest: str = Field(primary_key=True, max_length=64)
    until: datetime = Field(sa_type=UtcTime, index=True)
    collected_at: datetime | None = Field(default=None, sa_type=UtcTime)
    marked_by: str | None = Field(default=None, max_length=32, index=True)  # a batch of a garbage collection
    marked_until: datetime | None = Field(default=None, sa_type=UtcTime)  # by then its removal has acted, or never will


class DamagedBlobRow(Row, table=True):
    """A blob of which the store has other bytes: who has the file is asked to send it again."""

    __tablename__ = "damaged_blob"

    digest: str = Field(primary_key=True, max_length=64)
    found_at: datetime = Field(sa_type=UtcTime)
    found_by: str = Field(max_length=255)  # the host that read it


class UploadRow(Row, table=True):
    """Somebody sends a file; once they have sent all of it they know what is in the blob, and may read it."""

    __tablename__ = "upload"

    owner: str = Field(primary_key=True, max_length=255)
    digest: str = Field(primary_key=True, max_length=64)
    size: int = Field(sa_type=BigInteger)
    until: datetime = Field(sa_type=UtcTime, index=True)
    state: str = Field(default="received", max_length=16, sa_column_kwargs={"server_default": "received"})


def table_of(row: type[Row]) -> Table:
    return Row.metadata.tables[str(row.__tablename__)]


models, model_inputs = table_of(ModelRow), table_of(ModelInputRow)
jobs, job_inputs, job_dependencies = table_of(JobRow), table_of(JobInputRow), table_of(JobDependencyRow)
job_exclusions = table_of(JobExclusionRow)
tasks, attempts, outputs = table_of(TaskRow), table_of(AttemptRow), table_of(OutputRow)
workers, worker_pools = table_of(WorkerRow), table_of(WorkerPoolRow)
uploads = table_of(UploadRow)
leases, blob_leases = table_of(LeaseRow), table_of(BlobLeaseRow)
damaged_blobs = table_of(DamagedBlobRow)

#: Tasks of a job by their state, from the index that is made for it. A server whose statistics are old would rather
#: read the job from its first task on, however many of them are finished.
by_state = select(tasks.c.number).with_hint(tasks, "FORCE INDEX (ix_task_claim)", "mysql")
