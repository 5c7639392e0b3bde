"""Quotas: what ended jobs have rendered is summed up from an index."""

from renderctl.repository.migrations import steps

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    steps.create_index("ix_job_owner_bytes", "job", ["owner", "removed_at", "output_bytes"])
    steps.create_index("ix_job_project_bytes", "job", ["project", "removed_at", "output_bytes"])


def downgrade() -> None:
    steps.drop_index("ix_job_project_bytes", "job")
    steps.drop_index("ix_job_owner_bytes", "job")
