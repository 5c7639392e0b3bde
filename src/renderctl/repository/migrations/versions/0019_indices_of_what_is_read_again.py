"""What is asked again and again is answered from an index, however much there is; stopped jobs are settled once."""

import sqlalchemy as sa
from alembic import op

from renderctl.repository.migrations import steps

revision = "0019"
down_revision = "0018"

_INDICES = (
    ("ix_attempt_order", "attempt", ["job_id", "id"]),
    ("ix_output_order", "output", ["job_id", "id"]),
    ("ix_job_ended", "job", ["state", "finished_at"]),
    ("ix_job_stopped", "job", ["state", "stop_settled"]),
)


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column("stop_settled", sa.Boolean(), nullable=False, server_default="0")
    steps.add_column("job", column)
    _settle()
    for name, table, columns in _INDICES:
        steps.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in _INDICES:
        steps.drop_index(name, table)
    steps.drop_column("job", "stop_settled")


def _settle() -> None:
    """Jobs that were stopped long ago have nothing left that waits."""
    job = sa.table("job", sa.column("id"), sa.column("state"), sa.column("stop_settled", sa.Boolean()))
    task = sa.table("task", sa.column("job_id"), sa.column("state"))
    waits = sa.select(task.c.job_id).where(task.c.job_id == job.c.id, task.c.state.in_(["queued", "blocked"]))
    stopped = job.c.state.in_(["canceled", "failed"])
    op.get_bind().execute(job.update().where(stopped, ~waits.exists()).values(stop_settled=True))
