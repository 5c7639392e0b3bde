"""What users have sent to the server: they need not send it again, and may make models of it."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    steps.create_table(
        "upload",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("until", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("owner", "digest"),
    )
    steps.create_index("ix_upload_until", "upload", ["until"])


def downgrade() -> None:
    steps.drop_table("upload")
