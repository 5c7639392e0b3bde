"""A job may wait for the end of another one, whichever that is."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column("any_end", sa.Boolean(), nullable=False, server_default="0")
    steps.add_column("job_dependency", column)


def downgrade() -> None:
    steps.drop_column("job_dependency", "any_end")
