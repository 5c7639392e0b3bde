"""Containers: the image that an output was rendered with."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    steps.add_column("output", sa.Column("image", sa.String(length=128), nullable=True))


def downgrade() -> None:
    steps.drop_column("output", "image")
