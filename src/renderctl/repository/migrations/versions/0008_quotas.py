"""Quotas: how many tasks a job has, what it has rendered, what somebody is going to send."""

import sqlalchemy as sa
from alembic import op

from renderctl.repository.migrations import steps

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    steps.add_column("job", sa.Column("task_count", sa.Integer(), nullable=False, server_default="0"))
    steps.add_column("job", sa.Column("output_bytes", sa.BigInteger(), nullable=True))
    counted = "(SELECT count(*) FROM task WHERE task.job_id = job.id)"
    op.get_bind().execute(sa.text(f"UPDATE job SET task_count = {counted} WHERE task_count = 0"))
    steps.create_index("ix_job_owner", "job", ["owner", "state"])
    steps.create_index("ix_job_project", "job", ["project", "state"])
    steps.create_index("ix_model_owner", "model", ["owner"])
    steps.create_index("ix_webhook_owner", "webhook", ["owner"])
    steps.add_column("upload", sa.Column("state", sa.String(length=16), nullable=False, server_default="received"))
    steps.create_table("quota_lock", sa.Column("holder", sa.String(length=300), primary_key=True))


def downgrade() -> None:
    steps.drop_table("quota_lock")
    steps.drop_column("upload", "state")
    for table in ("webhook", "model", "job"):
        steps.drop_index(f"ix_{table}_owner", table)
    steps.drop_index("ix_job_project", "job")
    for column in ("output_bytes", "task_count"):
        steps.drop_column("job", column)
