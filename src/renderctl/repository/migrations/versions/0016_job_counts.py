"""What a job's tasks, attempts and outputs come to is counted where they change, and stands in a table."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from renderctl.repository.migrations import steps

revision = "0016"
down_revision = "0015"

_TASKS = ("blocked", "queued", "running", "succeeded", "failed", "canceled")
_ATTEMPTS = ("succeeded", "failed", "canceled", "lost", "released")
_COUNTED = (*_TASKS, *(f"attempts_{state}" for state in _ATTEMPTS), "outputs", "output_bytes")


def upgrade() -> None:
    counts: Iterator[sa.Column[int]] = (
        sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in _COUNTED
    )
    steps.create_table(
        "job_count",
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False, autoincrement=False),
        *counts,
        sa.PrimaryKeyConstraint("job_id", "shard"),
    )
    op.execute("DELETE FROM job_count")  # an upgrade that was killed may have begun
    op.execute(_filling())
    steps.create_index("ix_job_present", "job", ["removed_at", "state"])


def downgrade() -> None:
    steps.drop_index("ix_job_present", "job")
    steps.drop_table("job_count")


def _filling() -> str:
    """One statement that counts everything that there is, in one look at each table."""
    by_task = {state: f"SUM(state = '{state}')" for state in _TASKS}
    by_attempt = {f"attempts_{state}": f"SUM(state = '{state}')" for state in _ATTEMPTS}
    by_output = {"outputs": "COUNT(*)", "output_bytes": "SUM(size)"}
    parts = " UNION ALL ".join(
        _counting(table, counted)
        for table, counted in (("task", by_task), ("attempt", by_attempt), ("output", by_output))
    )
    names = ", ".join(_COUNTED)
    totals = ", ".join(f"SUM({name})" for name in _COUNTED)
    return (
        f"INSERT INTO job_count (job_id, shard, {names}) "
        f"SELECT job_id, 0, {totals} FROM ({parts}) AS part WHERE job_id IN (SELECT id FROM job) GROUP BY job_id"
    )


def _counting(table: str, counted: dict[str, str]) -> str:
    columns = ", ".join(f"{counted.get(name, 0)} AS {name}" for name in _COUNTED)
    return f"SELECT job_id, {columns} FROM {table} GROUP BY job_id"
