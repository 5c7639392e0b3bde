"""Large facts of models: what lists show of them."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    steps.add_column("model", sa.Column("listed_facts", sa.JSON(), nullable=True))


def downgrade() -> None:
    steps.drop_column("model", "listed_facts")
