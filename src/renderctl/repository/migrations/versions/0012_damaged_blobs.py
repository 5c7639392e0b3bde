"""Blobs that were found damaged, until they are put anew."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    steps.create_table(
        "damaged_blob",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("found_at", steps.TIME, nullable=False),
        sa.Column("found_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )


def downgrade() -> None:
    steps.drop_table("damaged_blob")
