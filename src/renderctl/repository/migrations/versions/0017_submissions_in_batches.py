"""A large job is added in batches, out of sight until the last of them."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    steps.add_column("job", sa.Column("submitting_until", steps.TIME, nullable=True))


def downgrade() -> None:
    steps.drop_column("job", "submitting_until")
