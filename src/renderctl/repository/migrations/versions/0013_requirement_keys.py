"""Jobs are found by what they require of a worker, and count how often in a row their ticket was refused for it."""

import json

import sqlalchemy as sa
from alembic import op

from renderctl.core.requirements import Requirements
from renderctl.repository.migrations import steps

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    key = sa.Column("requirement_key", sa.String(length=32), nullable=False, server_default="")
    steps.add_column("job", key)
    steps.add_column("job", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    _fill_in()
    steps.create_index("ix_job_requirements", "job", ["state", "pool", "requirement_key"])


def downgrade() -> None:
    steps.drop_index("ix_job_requirements", "job")
    for column in ("refusals", "requirement_key"):
        steps.drop_column("job", column)


def _fill_in() -> None:
    """Jobs that have not ended, or may be tried again, keep being found."""
    job = sa.table("job", sa.column("id"), sa.column("requirements", sa.JSON()), sa.column("requirement_key"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(job.c.id, sa.cast(job.c.requirements, sa.Text()).label("document"))):
        document = json.loads(row.document) if row.document not in (None, "null") else None
        if requirements := Requirements.from_document(document):
            filled = job.update().where(job.c.id == row.id).values(requirement_key=requirements.key)
            connection.execute(filled)
