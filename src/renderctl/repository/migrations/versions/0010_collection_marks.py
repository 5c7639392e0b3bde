"""Collections mark the blobs that they remove with an owner and a deadline."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    steps.add_column("blob_lease", sa.Column("marked_by", sa.String(length=32), nullable=True))
    steps.add_column("blob_lease", sa.Column("marked_until", steps.TIME, nullable=True))
    steps.create_index("ix_blob_lease_marked_by", "blob_lease", ["marked_by"])


def downgrade() -> None:
    steps.drop_index("ix_blob_lease_marked_by", "blob_lease")
    for column in ("marked_until", "marked_by"):
        steps.drop_column("blob_lease", column)
