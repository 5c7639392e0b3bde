"""What many nodes need: requirements of jobs, what is held against workers, leases on blobs, deeds known again."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    steps.add_column("job", sa.Column("requirements", sa.JSON(), nullable=True))
    steps.add_column("job", sa.Column("removed_at", steps.TIME, nullable=True))
    steps.create_index("ix_job_removed_at", "job", ["removed_at"])
    steps.add_column("worker", sa.Column("held", sa.String(length=16), nullable=True))
    steps.add_column("worker", sa.Column("reason", steps.LONG_TEXT, nullable=True))
    steps.add_column("worker", sa.Column("judged_at", steps.TIME, nullable=True))
    steps.add_column("worker", sa.Column("node", sa.String(length=64), nullable=True))
    steps.create_table(
        "job_exclusion",
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("worker_id", sa.String(length=255), nullable=False),
        sa.Column("at", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "worker_id"),
    )
    steps.create_index("ix_job_exclusion_worker_id", "job_exclusion", ["worker_id"])
    steps.add_column("audit", sa.Column("deed", sa.String(length=20), nullable=True))
    steps.create_index("ix_audit_deed", "audit", ["deed"])
    steps.add_column("attempt", sa.Column("log", sa.String(length=64), nullable=True))
    steps.create_index("ix_attempt_job", "attempt", ["job_id", "state", "number"])
    # a heartbeat is to change no index
    steps.create_index("ix_attempt_state", "attempt", ["state"])
    steps.drop_index("ix_attempt_stale", "attempt")
    steps.create_table(
        "blob_lease",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("until", steps.TIME, nullable=False),
        sa.Column("collected_at", steps.TIME, nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    steps.create_index("ix_blob_lease_until", "blob_lease", ["until"])


def downgrade() -> None:
    steps.drop_table("blob_lease")
    steps.create_index("ix_attempt_stale", "attempt", ["state", "seen_at"])
    steps.drop_index("ix_attempt_state", "attempt")
    steps.drop_index("ix_attempt_job", "attempt")
    steps.drop_column("attempt", "log")
    steps.drop_index("ix_audit_deed", "audit")
    steps.drop_column("audit", "deed")
    steps.drop_table("job_exclusion")
    for column in ("node", "judged_at", "reason", "held"):
        steps.drop_column("worker", column)
    steps.drop_index("ix_job_removed_at", "job")
    steps.drop_column("job", "removed_at")
    steps.drop_column("job", "requirements")
