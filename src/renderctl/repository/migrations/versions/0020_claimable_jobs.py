"""Idle slots find jobs that have something to give in an index; workers say whether one of their slots is idle."""

import sqlalchemy as sa
from alembic import op

from renderctl.repository.migrations import steps

revision = "0020"
down_revision = "0019"

_KEY = ["state", "pool", "requirement_key", "claimable_at", "priority", "served_at", "bound_to"]


def upgrade() -> None:
    steps.add_column("job", sa.Column("claimable_at", steps.TIME, nullable=True))
    _fill_in()
    steps.create_index("ix_job_claimable", "job", _KEY)
    steps.drop_index("ix_job_requirements", "job")
    steps.drop_index("ix_job_turn", "job")
    idle: sa.Column[bool] = sa.Column("idle", sa.Boolean(), nullable=False, server_default="0")
    steps.add_column("worker", idle)
    steps.create_index("ix_worker_idle", "worker", ["state", "idle"])
    steps.drop_index("ix_worker_state", "worker")


def downgrade() -> None:
    steps.create_index("ix_worker_state", "worker", ["state"])
    steps.drop_index("ix_worker_idle", "worker")
    steps.drop_column("worker", "idle")
    steps.create_index("ix_job_turn", "job", ["state", "priority", "served_at"])
    steps.create_index("ix_job_requirements", "job", ["state", "pool", "requirement_key"])
    steps.drop_index("ix_job_claimable", "job")
    steps.drop_column("job", "claimable_at")


def _fill_in() -> None:
    """What is queued may be claimed from the job's beginning on: whoever finds that it is not yet due corrects that."""
    job = sa.table("job", *(sa.column(name) for name in ("id", "state", "created_at", "claimable_at")))
    task = sa.table("task", sa.column("job_id"), sa.column("state"))
    queued = sa.exists().where(task.c.job_id == job.c.id, task.c.state == "queued")
    open_jobs = job.c.state.in_(("queued", "running", "paused"))
    op.get_bind().execute(job.update().where(open_jobs, queued).values(claimable_at=job.c.created_at))
