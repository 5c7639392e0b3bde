"""What many nodes need: requirements of jobs, reasons of workers, leases on blobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    op.add_column("job", sa.Column("requirements", sa.JSON(), nullable=True))
    op.add_column("job", sa.Column("removed_at", _TIME, nullable=True))
    op.create_index("ix_job_removed_at", "job", ["removed_at"], unique=False)
    op.add_column("worker", sa.Column("reason", sa.Text(), nullable=True))
    op.create_index("ix_attempt_job", "attempt", ["job_id", "state", "number"], unique=False)
    op.create_table(
        "blob_lease",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("collected_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_blob_lease_until", "blob_lease", ["until"], unique=False)


def downgrade() -> None:
    op.drop_table("blob_lease")
    op.drop_index("ix_attempt_job", "attempt")
    op.drop_column("worker", "reason")
    op.drop_index("ix_job_removed_at", "job")
    op.drop_column("job", "removed_at")
    op.drop_column("job", "requirements")
